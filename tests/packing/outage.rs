//! A weather service that fails: no box waits for it, and what was assumed is said.

use jobs::clients::forecast;
use sandbox::Fault;
use serde_json::{Value, json};

use super::{Room, day};
use crate::orders::inbox::{count, execute};
use crate::support::outside;

const COLUMNS: &str = "ambient_forecast_max::text as celsius, forecast_retrieved_at is null as assumed, special_notes, risk_level";

#[tokio::test]
async fn weather_that_is_not_to_be_had_is_assumed_and_said_so() {
    let room = Room::on("2026-07-01").await;
    execute(
        room.pool(),
        "insert into raw_ops.allowed_delivery_areas (postcode_prefix, area_name, phase, typical_transit_hours) values ('SW', 'London', '1', 24)",
    )
    .await;
    let beef = room.stocked().await;
    let away = "35 °C are assumed: no forecast was to be had.";
    for (fault, attempts) in [
        (Fault::Status(503), 3),
        (Fault::Garbage, 3),
        (Fault::LostReply, 3),
        (Fault::Hang, 3),
        // Whoever asks to be left alone for an hour, or knows us no more, is not asked again.
        (Fault::RateLimited(3_600), 1),
        (Fault::Status(401), 1),
    ] {
        room.forecast.always(Some(fault));
        let order = room.allocated(beef, 2, "SW1A 1AA").await;
        assert_eq!(room.plan().await["assumed"], 1, "{fault:?}");
        let written = room.instruction(order, COLUMNS).await;
        assert_eq!(written, json!({ "celsius": "35.0", "assumed": true, "special_notes": away, "risk_level": "HIGH" }), "{fault:?}");
        let attempted = format!(
            "engine.attempt where job_id = (select max(id) from engine.job_state where kind = 'packing.calculate_instructions' and args ->> 'order_id' = '{order}')"
        );
        assert_eq!(count(room.pool(), &attempted).await, attempts, "{fault:?}");
    }
    assert_eq!(count(room.pool(), "raw_ops.dead_letter_queue").await, 0);
    let told = crate::alerts::told(&room.outside);
    assert!(told.iter().any(|(_, words)| words.contains("No weather forecast")), "{told:?}");

    let unconfigured = room.allocated(beef, 2, "SW1A 1AA").await;
    let settings = jobs::clients::Settings { forecast: forecast::Settings::default(), ..room.settings() };
    room.plan_with(None, outside::with(&settings)).await;
    let notes = room.instruction(unconfigured, "special_notes").await;
    assert_eq!(notes["special_notes"], "35 °C are assumed: no forecast is configured.");
}

#[tokio::test]
async fn a_question_that_was_given_up_is_not_asked_for_the_next_parcel() {
    let room = Room::on("2026-07-01").await;
    let beef = room.stocked().await;
    room.forecast.always(Some(Fault::Status(503)));
    let kinds = room.kinds();
    let attempts = "engine.attempt where job_id in (select id from engine.job_state where kind = 'packing.calculate_instructions')";
    for expected in [3, 4, 5] {
        room.allocated(beef, 2, "SW1A 1AA").await;
        assert_eq!(room.plan_with(None, kinds.clone()).await["assumed"], 1);
        assert_eq!(count(room.pool(), attempts).await, expected, "only the first asked, three times");
    }
}

#[tokio::test]
async fn a_forecast_that_comes_late_is_used() {
    for faults in [vec![Fault::Status(500), Fault::Reset], vec![Fault::LostReply], vec![Fault::RateLimited(1), Fault::Garbage]] {
        let room = Room::on("2026-07-01").await;
        for date in ["2026-07-01", "2026-07-02", "2026-07-03"] {
            room.forecast.set(day(date), 19.5);
        }
        let beef = room.stocked().await;
        let order = room.allocated(beef, 2, "SW1A 1AA").await;
        room.forecast.ask(faults.clone());
        assert_eq!(room.plan().await["assumed"], 0, "{faults:?}");
        let written = room.instruction(order, "ambient_forecast_max::text as celsius, special_notes").await;
        let notes = "No table says how long the way is; 48 hours are assumed.";
        assert_eq!(written, json!({ "celsius": "19.5", "special_notes": notes }), "{faults:?}");
        let failed = "engine.attempt where outcome = 'failed'";
        assert_eq!(count(room.pool(), failed).await, 0, "to ask again burns no attempt of the policy");
        assert_eq!(room.held(order).await, Value::Null);
    }
}
