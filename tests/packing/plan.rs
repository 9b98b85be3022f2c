//! The days of packing, the schedule's job and the HTTP function.

use sandbox::Fault;
use serde_json::{Value, json};
use web::{api::Scope, functions::calculate_pack_day_instructions::PATH};

use super::{Room, day};
use crate::api::{Api, refusal};
use crate::orders::inbox::{count, execute, row};
use crate::support::{
    Outside, clock, outside,
    process::WorkerOptions,
    shelf::{Batch, allocate, order, product},
};

#[tokio::test]
async fn no_chilled_parcel_leaves_into_a_day_without_delivery() {
    // The Thursday before Easter.
    let room = Room::on("2026-04-01").await;
    execute(
        room.pool(),
        "insert into raw_ops.allowed_delivery_areas (postcode_prefix, area_name, phase, typical_transit_hours)
         values ('SW', 'London', '1', 24), ('EH', 'Edinburgh', '1', 48)",
    )
    .await;
    let beef = room.stocked().await;
    let near = room.allocated(beef, 2, "SW1A 1AA").await;
    let far = room.allocated(beef, 2, "EH1 1AA").await;
    let figures = room.plan().await;
    assert_eq!((&figures["calculated"], &figures["waiting"]), (&json!(1), &json!(1)), "{figures}");
    assert_eq!(room.instruction(near, "deliver_on").await["deliver_on"], "2026-04-02");
    let waits = "select output from engine.job_state where kind = 'packing.calculate_instructions' and output ->> 'outcome' = 'waiting'";
    assert_eq!(row(room.pool(), waits).await["output"], json!({ "outcome": "waiting", "until": "2026-04-07" }));

    for closed in ["2026-04-03", "2026-04-04", "2026-04-05", "2026-04-06"] {
        room.sleep_until(closed).await;
        let figures = room.plan().await;
        assert_eq!((&figures["is_pack_day"], &figures["orders"]), (&json!(false), &json!(0)), "{figures}");
    }
    room.sleep_until("2026-04-07").await;
    room.plan().await;
    assert_eq!(room.instruction(far, "pack_on, deliver_on").await, json!({ "pack_on": "2026-04-07", "deliver_on": "2026-04-09" }));
    assert_eq!(room.held(far).await, Value::Null, "to wait for a day is no exception");
}

#[tokio::test]
async fn an_instruction_of_a_day_that_has_passed_is_made_anew_until_the_box_is_packed() {
    let room = Room::on("2026-07-01").await;
    let beef = room.stocked().await;
    let (left, packed) = (room.allocated(beef, 2, "SW1A 1AA").await, room.allocated(beef, 2, "SW1A 1AA").await);
    for (date, celsius) in [("2026-07-01", 15.0), ("2026-07-02", 15.0), ("2026-07-03", 15.0), ("2026-07-04", 33.0)] {
        room.forecast.set(day(date), celsius);
    }
    room.plan().await;
    let id = room.instruction(left, "id").await;
    execute(
        room.pool(),
        &format!(
            "insert into raw_ops.pack_quality_checks (order_id, expected_total_weight_kg, actual_weight_kg, packed_by) values ('{packed}', 3, 3, 'ann')"
        ),
    )
    .await;
    room.sleep_until("2026-07-02").await;
    assert_eq!(room.plan().await["calculated"], 1);
    let again = "pack_on, risk_level, id";
    let written = room.instruction(left, again).await;
    assert_eq!(
        written,
        json!({ "pack_on": "2026-07-02", "risk_level": "HIGH", "id": id["id"] }),
        "two days on the way, and the last is hot"
    );
    assert_eq!(room.instruction(packed, "pack_on").await["pack_on"], "2026-07-01");
    execute(room.pool(), "update raw_ops.packing_instructions set calculated_by = 'ann'").await;
    room.sleep_until("2026-07-03").await;
    assert_eq!(room.plan().await["orders"], 0, "a person's instruction stands");
}

#[tokio::test]
async fn the_last_plan_holds_until_an_order_has_gone_to_the_packer() {
    let room = Room::on("2026-07-01").await;
    let beef = room.stocked().await;
    let (waiting, exported) = (room.allocated(beef, 2, "SW1A 1AA").await, room.allocated(beef, 2, "SW1A 1AA").await);
    let later = async |date: &str| room.plan_with(Some(day(date)), room.kinds()).await["calculated"].take();
    assert_eq!(later("2026-07-06").await, 2);
    assert_eq!(room.plan().await["calculated"], 2, "what was planned for a later day is packed today");
    assert_eq!(room.instruction(waiting, "pack_on").await["pack_on"], "2026-07-01");
    execute(room.pool(), &format!("update raw_ops.orders set status = 'EXPORTED' where id = '{exported}'")).await;
    assert_eq!(later("2026-07-06").await, 1);
    assert_eq!(room.instruction(waiting, "pack_on").await["pack_on"], "2026-07-06");
    assert_eq!(room.instruction(exported, "pack_on").await["pack_on"], "2026-07-01", "the packer has the file of today");
    room.sleep_until("2026-07-02").await;
    assert_eq!(later("2026-07-07").await, 1);
    room.plan().await;
    assert_eq!(room.instruction(exported, "pack_on").await["pack_on"], "2026-07-02", "it was not packed, and is today");
}

#[tokio::test]
async fn what_people_were_told_of_is_over_only_when_no_box_lacks_anything() {
    // A Friday.
    let room = Room::on("2026-07-03").await;
    let beef = room.stocked().await;
    let open = async || {
        let last = "select coalesce(jsonb_object_agg(a.idempotency_key, not a.is_recovery), '{}') as open
            from (select distinct on (idempotency_key) idempotency_key, is_recovery from raw_ops.alert_log
                  order by idempotency_key, sent_at desc, is_recovery desc) a where a.idempotency_key like 'packing%'";
        row(room.pool(), last).await["open"].take()
    };
    let both = json!({ "packing held": true, "packing weather": true });
    let nowhere = room.allocated(beef, 2, "nowhere").await;
    room.forecast.always(Some(Fault::Status(401)));
    room.allocated(beef, 2, "SW1A 1AA").await;
    let far = "insert into raw_ops.allowed_delivery_areas (postcode_prefix, area_name, phase, typical_transit_hours)
        values ('SW', 'London', '1', 24), ('EC', 'London', '1', 24)";
    execute(room.pool(), far).await;
    room.plan().await;
    assert_eq!(open().await, both);

    room.forecast.always(None);
    room.allocated(beef, 2, "EC1A 1BB").await;
    assert_eq!(room.plan().await["assumed"], 0);
    assert_eq!(open().await, both, "a box of the run before is still packed for assumed weather");
    for other in ["2026-07-04", "2026-07-05"] {
        let figures = room.plan_with(Some(day(other)), room.kinds()).await;
        assert_eq!((&figures["is_pack_day"], open().await), (&json!(false), both.clone()), "nothing was looked at on {other}");
    }
    execute(room.pool(), &format!("update raw_ops.orders set ship_postcode = 'SW1A 1AA' where id = '{nowhere}'")).await;
    room.sleep_until("2026-07-06").await;
    room.plan().await;
    assert_eq!(open().await, json!({ "packing held": false, "packing weather": false }));
}

#[tokio::test]
async fn rules_are_versions_and_one_that_cannot_be_read_makes_one_letter() {
    let room = Room::on("2026-07-01").await;
    let beef = room.stocked().await;
    let order = room.allocated(beef, 2, "SW1A 1AA").await;
    for statement in [
        "insert into raw_ops.config (key, value_text) select 'packing.rules.2.0', replace(value_text, '\"small\"', '\"tiny\"')
         from raw_ops.config where key = 'packing.rules.1.0'",
        "update raw_ops.config set value_text = '2.0' where key = 'packing.rules'",
    ] {
        execute(room.pool(), statement).await;
    }
    room.plan().await;
    assert_eq!(room.instruction(order, "box_size, calculation_version").await, json!({ "box_size": "tiny", "calculation_version": "2.0" }));

    let other = room.allocated(beef, 2, "SW1A 1AA").await;
    for (version, words) in
        [("3.0", "names no version that is there"), ("4.0", "packing.rules.4.0 of raw_ops.config cannot be used: boxes")]
    {
        execute(room.pool(), "delete from raw_ops.dead_letter_queue").await;
        execute(room.pool(), &format!("update raw_ops.config set value_text = '{version}' where key = 'packing.rules'")).await;
        execute(
            room.pool(),
            "insert into raw_ops.config (key, value_text) values ('packing.rules.4.0', '{ \"boxes\": 1 }') on conflict (key) do nothing",
        )
        .await;
        assert_eq!(room.plan().await, Value::Null);
        let letter = row(room.pool(), "select topic, category, error_message from raw_ops.dead_letter_queue").await;
        assert_eq!((&letter["topic"], &letter["category"]), (&json!("packing.plan_pack_day"), &json!("validation")));
        assert!(letter["error_message"].as_str().is_some_and(|error| error.contains(words)), "{letter}");
    }
    assert_eq!(room.instruction(other, "count(*) as n").await["n"], 0);
}

#[tokio::test]
async fn the_function_plans_the_day_that_it_is_asked_for() {
    let api = Api::start(&[Scope::Functions]).await;
    let pool = api.edge.pool();
    let beef = product(pool, "BEEF").await;
    Batch::of(100, 90).put(pool, "PR-1", beef).await;
    let order = order(pool, &[(beef, 4)]).await;
    execute(pool, &format!("update raw_ops.orders set ship_postcode = 'SW1A 1AA' where id = '{order}'")).await;
    allocate(pool, order).await;
    // Nothing is configured that closes a day: whichever day it is, some day of the next ten is one to pack on.
    let calendar = "update raw_ops.config set value_text = jsonb_set(value_text::jsonb, '{usual_transit_hours}', '24')::text
        where key = 'packing.rules.1.0'";
    execute(pool, calendar).await;
    let outside = Outside::start().await;
    let worker = WorkerOptions::new(api.edge.database_url()).outside(&outside).start();
    let (status, today) = api.post(PATH, &json!({})).await;
    assert_eq!((status, today["pack_day"].is_string()), (200, true), "{today}");
    let first = day(today["pack_day"].as_str().expect("a date"));
    let mut calculated = 0;
    for pack_day in first.iter_days().skip(1).take(10) {
        let (status, figures) = api.post(PATH, &json!({ "pack_day": pack_day })).await;
        assert_eq!((status, &figures["pack_day"]), (200, &json!(pack_day)), "{figures}");
        calculated += figures["calculated"].as_i64().expect("a count");
    }
    assert!(calculated > 0, "no day of ten was one to pack on");
    assert_eq!(count(pool, &format!("raw_ops.packing_instructions where order_id = '{order}'")).await, 1);
    for past in [first.pred_opt().expect("a day"), first + chrono::Days::new(11)] {
        assert!(refusal(api.post(PATH, &json!({ "pack_day": past })).await, 422).contains("the day must be from"), "{past}");
    }
    for nonsense in [json!({ "pack_day": "tomorrow" }), json!([1]), json!("2026-07-01")] {
        assert!(refusal(api.post(PATH, &nonsense).await, 422).contains("the body names no day"), "{nonsense}");
    }
    drop(worker);
    let narrow = Api::start(&[Scope::JobsWrite]).await;
    assert!(refusal(narrow.post(PATH, &json!({})).await, 403).contains("lacks the scope functions"));
}

#[tokio::test]
async fn a_day_is_named_in_the_arguments_or_is_today_in_london() {
    let room = Room::on("2026-07-01").await;
    // An hour before midnight by UTC it is the next day in a London summer.
    clock::set(room.pool(), "2026-07-01T23:30:00Z".parse().expect("a moment")).await;
    let kinds = || outside::with(&room.settings());
    assert_eq!(room.plan_with(None, kinds()).await["pack_day"], "2026-07-02");
    assert_eq!(room.plan_with(Some(day("2026-07-12")), kinds()).await["pack_day"], "2026-07-12");
    assert_eq!(room.plan_with(Some(day("2026-07-01")), kinds()).await, Value::Null, "a day that has passed");
}
