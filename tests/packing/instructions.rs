//! One instruction an order, for the weather on its way.

use serde_json::{Value, json};

use super::{Room, day};
use crate::orders::inbox::{count, execute};

#[tokio::test]
async fn an_order_gets_one_instruction_for_the_warmest_hour_of_its_way() {
    let room = Room::on("2026-07-01").await;
    room.forecast.set(day("2026-07-01"), 16.0);
    room.forecast.set(day("2026-07-02"), 23.4);
    execute(
        room.pool(),
        "insert into raw_ops.allowed_delivery_areas (postcode_prefix, area_name, phase, typical_transit_hours) values ('SW', 'London', '1', 24)",
    )
    .await;
    let beef = room.stocked().await;
    let small = room.allocated(beef, 8, "sw1a1aa").await;
    let large = room.allocated(beef, 30, "SW9 9SL").await;
    let figures = room.plan().await;
    let expected = json!({
        "pack_day": "2026-07-01", "is_pack_day": true, "orders": 2, "calculated": 2, "assumed": 0, "waiting": 0, "held": 0,
        "settled": 0, "failed": 0,
    });
    assert_eq!(figures, expected);
    let columns = "box_size, insulation_type, pcm_mass_kg, pcm_packs_count, ambient_forecast_max, transit_hours_expected, risk_level,
        logger_required, special_notes, calculated_by, calculation_version, pack_on, deliver_on, expected_weight_kg,
        forecast_retrieved_at between engine.now() - interval '1 min' and engine.now() as fresh,
        batch_id = (select id from raw_ops.batches) as of_batch";
    let written = room.instruction(small, columns).await;
    let expected = json!({
        "box_size": "small", "insulation_type": "Wool", "pcm_mass_kg": 1.5, "pcm_packs_count": 3, "ambient_forecast_max": 23.4,
        "transit_hours_expected": 24, "risk_level": "MEDIUM", "logger_required": false, "special_notes": null,
        "calculated_by": "automated", "calculation_version": "1.0", "pack_on": "2026-07-01", "deliver_on": "2026-07-02",
        "expected_weight_kg": 6.15, "fresh": true, "of_batch": true,
    });
    let close = |value: &Value, wanted: f64| value.as_f64().is_some_and(|value| (value - wanted).abs() < 1e-9);
    for (name, wanted) in expected.as_object().expect("an object") {
        let same = wanted.as_f64().map_or(&written[name] == wanted, |wanted| close(&written[name], wanted));
        assert!(same, "{name}: {} instead of {wanted}", written[name]);
    }
    assert_eq!(room.instruction(large, "box_size, pcm_packs_count").await, json!({ "box_size": "large", "pcm_packs_count": 6 }));
    assert!(room.forecast.answered() <= 4, "two places at most twice at once: {}", room.forecast.answered());

    assert_eq!(room.plan().await["orders"], 0, "once an order");
    let queue = "raw_ops.v_pack_queue where packing_instruction_id is not null";
    assert_eq!((count(room.pool(), "raw_ops.packing_instructions").await, count(room.pool(), queue).await), (2, 2));
}

#[tokio::test]
async fn what_cannot_be_packed_is_held_with_its_reason_and_goes_when_the_reason_is_gone() {
    let room = Room::on("2026-07-01").await;
    for statement in [
        "insert into raw_ops.allowed_delivery_areas (postcode_prefix, area_name, phase, typical_transit_hours, enabled_from_date)
         values ('SW', 'London', '1', 24, null), ('IV', 'Highlands', '1', 24, null), ('PO1', 'Portsmouth', '1', 24, null),
                ('LS', 'Leeds', '2', 24, '2026-07-02'), ('KW', 'Caithness', '3', 96, null)",
        "insert into raw_ops.high_risk_postcodes (postcode_prefix, region_name, typical_transit_hours, delivery_policy, checkout_message)
         values ('IV51', 'Skye', 72, 'no delivery', ''), ('IV', 'Highlands', 24, 'extra coolant', '')",
    ] {
        execute(room.pool(), statement).await;
    }
    let beef = room.stocked().await;
    let cases = [
        ("PO10 8AB", "we do not deliver to PO10 yet"),
        ("LS1 4AP", "we deliver to LS from 2026-07-02 on"),
        ("IV51 9AA", "we do not deliver to Skye (IV51)"),
        ("KW1 4AA", "96 hours on the way are too many for a chilled parcel"),
        ("nowhere", "its address has no British postcode"),
        ("75008", "its address has no British postcode"),
    ];
    let mut orders = Vec::new();
    for (postcode, _) in cases {
        orders.push(room.allocated(beef, 2, postcode).await);
    }
    let abroad = room.allocated(beef, 2, "SW1A 1AA").await;
    execute(room.pool(), &format!("update raw_ops.orders set ship_country = 'FR' where id = '{abroad}'")).await;
    let careful = room.allocated(beef, 2, "IV1 1AA").await;
    for run in 0..2 {
        let figures = room.plan().await;
        // The order that can be packed has its instruction in the second run.
        assert_eq!((&figures["held"], &figures["calculated"]), (&json!(7), &json!(1 - run)), "{figures}");
    }
    for (order, (postcode, reason)) in orders.iter().zip(cases) {
        assert_eq!(room.held(*order).await, reason, "{postcode}");
    }
    assert_eq!(room.held(abroad).await, "it goes abroad");
    assert_eq!(count(room.pool(), "raw_ops.exceptions_queue").await, 7, "one an order, however often it is looked at");
    assert_eq!(
        room.instruction(careful, "risk_level, logger_required, special_notes").await,
        json!({ "risk_level": "HIGH", "logger_required": true, "special_notes": "Highlands: extra coolant." })
    );
    let told = crate::alerts::told(&room.outside);
    assert!(told.iter().any(|(_, words)| words.contains("7 orders of 2026-07-01 have no packing instruction")), "{told:?}");

    execute(room.pool(), &format!("update raw_ops.orders set ship_postcode = 'PO1 2AB' where id = '{}'", orders[0])).await;
    assert_eq!(room.plan().await["calculated"], 1);
    assert_eq!(room.held(orders[0]).await, Value::Null);
    room.sleep_until("2026-07-02").await;
    room.plan().await;
    assert_eq!(room.held(orders[1]).await, Value::Null, "we deliver to Leeds today");
}

#[tokio::test]
async fn an_instruction_is_written_only_for_what_is_still_to_be_packed() {
    let room = Room::on("2026-07-01").await;
    let beef = room.stocked().await;
    let order = room.allocated(beef, 2, "SW1A 1AA").await;
    let put = async |grams: i64| -> String {
        let made = json!({
            "food_grams": grams, "postcode": "SW1A 1AA", "country": "GB", "box_size": "small", "insulation": "Wool", "coolant_grams": 500, "packs": 1, "ambient": 10.0,
            "transit_hours": 24, "risk": "LOW", "logger": false, "notes": null, "version": "1.0", "pack_on": "2026-07-01",
            "deliver_on": "2026-07-02", "total_grams": 2_000,
        });
        sqlx::query_scalar("select raw_ops.put_packing_instruction($1, $2, null)")
            .bind(order)
            .bind(made)
            .fetch_one(room.pool())
            .await
            .expect("a word")
    };
    assert_eq!(put(999).await, "changed");
    let move_to = async |postcode: &str| {
        execute(room.pool(), &format!("update raw_ops.orders set ship_postcode = '{postcode}'")).await;
    };
    move_to("IV1 1AA").await;
    assert_eq!(put(1_000).await, "changed", "it goes elsewhere now");
    move_to("SW1A 1AA").await;
    assert_eq!(count(room.pool(), "raw_ops.packing_instructions").await, 0);
    assert_eq!(put(1_000).await, "calculated");
    assert_eq!(put(1_000).await, "known");
    execute(room.pool(), &format!("update raw_ops.orders set status = 'CANCELLED' where id = '{order}'")).await;
    assert_eq!(put(1_000).await, "closed");
}

#[tokio::test]
async fn an_order_of_other_food_or_address_is_instructed_anew_until_it_has_gone_to_the_packer() {
    let room = Room::on("2026-07-01").await;
    let beef = room.stocked().await;
    let order = room.allocated(beef, 30, "SW1A 1AA").await;
    assert_eq!(room.plan().await["calculated"], 1);
    let columns = "id, box_size, expected_weight_kg::text as kg, food_grams";
    let first = room.instruction(order, columns).await;
    assert_eq!((&first["box_size"], &first["food_grams"]), (&json!("large"), &json!(15_000)));
    let shrink = async |units: i32| {
        execute(room.pool(), &format!("update raw_ops.order_items set qty = {units} where order_id = '{order}'")).await;
        execute(
            room.pool(),
            &format!("select raw_ops.free_line(id, order_id, {units}) from raw_ops.order_items where order_id = '{order}'"),
        )
        .await;
        room.plan().await
    };
    let go_to = async |postcode: &str, country: &str| {
        let moved = format!("update raw_ops.orders set ship_postcode = '{postcode}', ship_country = '{country}' where id = '{order}'");
        execute(room.pool(), &moved).await;
        room.plan().await
    };
    assert_eq!(go_to("IV1 1AA", "GB").await["calculated"], 1, "it goes elsewhere now");
    assert_eq!(go_to("IV1 1AA", "FR").await["held"], 1);
    assert_eq!(go_to("IV1 1AA", "GB").await["settled"], 1, "its instruction fits again");
    assert_eq!(room.held(order).await, Value::Null);
    assert_eq!(go_to("SW1A 1AA", "GB").await["calculated"], 1);
    assert_eq!(shrink(6).await["calculated"], 1);
    let smaller = room.instruction(order, columns).await;
    assert_eq!((&smaller["id"], &smaller["box_size"], &smaller["food_grams"]), (&first["id"], &json!("small"), &json!(3_000)));
    execute(room.pool(), &format!("update raw_ops.orders set status = 'EXPORTED' where id = '{order}'")).await;
    assert_eq!(shrink(4).await["orders"], 0, "the packer has the file");
    assert_eq!(room.instruction(order, columns).await, smaller);
}
