//! What packers say of a box, and who hears of it.

use serde_json::{Value, json};

use super::Room;
use crate::orders::inbox::{count, execute, row};
use crate::support::{run_all, shelf::rows};

/// A check of an order by ann, with these columns more.
async fn check(room: &Room, order: &str, columns: &str, values: &str) {
    let sql = format!(
        "insert into raw_ops.pack_quality_checks (order_id, packed_by, void_fill_complete, visual_check_pass, {columns})
         values ({order}, 'ann', true, true, {values})"
    );
    execute(room.pool(), &sql).await;
    run_all(&room.db, room.kinds()).await;
}

async fn open(room: &Room) -> Value {
    rows(room.pool(), "select issue_type, issue_description, raw_data ->> 'packed_by' from raw_ops.exceptions_queue where not resolved")
        .await
}

#[tokio::test]
async fn a_box_that_was_packed_wrong_is_heard_of_once_and_one_that_was_packed_right_settles_it() {
    let room = Room::on("2026-07-01").await;
    let beef = room.stocked().await;
    let order = room.allocated(beef, 8, "IV1 1AA").await;
    execute(
        room.pool(),
        "insert into raw_ops.high_risk_postcodes (postcode_prefix, region_name, typical_transit_hours, delivery_policy, checkout_message)
         values ('IV', 'Highlands', 24, 'extra coolant', '')",
    )
    .await;
    room.plan().await;
    let id = format!("'{order}'");
    let weights = "expected_total_weight_kg, actual_weight_kg";
    check(&room, &id, &format!("{weights}, logger_activated"), "6, 6.18, true").await;
    let written = row(
        room.pool(),
        "select weight_variance_kg::text as kg, weight_variance_pct::text as pct, packing_instruction_id is not null as linked
         from raw_ops.pack_quality_checks",
    )
    .await;
    assert_eq!(written, json!({ "kg": "0.18", "pct": "3.00", "linked": true }));
    assert_eq!(open(&room).await, json!([]));

    let times = format!("{weights}, pack_started_at, pack_completed_at");
    check(&room, &id, &times, "6, 5.4, '2026-07-01 10:00Z', '2026-07-01 10:03Z'").await;
    let words = "it is 0.6 kg (10 %) lighter than it should be; no temperature logger runs in it, and one should";
    assert_eq!(open(&room).await, json!([["packed_wrong", words, "ann"]]));
    assert_eq!(rows(room.pool(), "select pack_time_seconds from raw_ops.pack_quality_checks order by id").await, json!([[null], [180]]));
    // Judged again, as after a worker's death, it is told once.
    execute(
        room.pool(),
        "select engine.enqueue('packing.judge_check', jsonb_build_object('check_id', max(id)::text), queue => 'packing')
         from raw_ops.pack_quality_checks",
    )
    .await;
    run_all(&room.db, room.kinds()).await;
    assert_eq!(count(room.pool(), "raw_ops.exceptions_queue").await, 1);
    let told = crate::alerts::told(&room.outside);
    assert_eq!(told.iter().filter(|(channel, words)| channel == "ops-alerts" && words.contains("packed wrong")).count(), 1, "{told:?}");

    execute(room.pool(), "update raw_ops.config set value_numeric = 11 where key = 'packing.max_weight_variance_pct'").await;
    check(&room, &id, &format!("{weights}, logger_activated"), "6, 5.4, true").await;
    assert_eq!(open(&room).await, json!([]), "the limit is data, and the newest check was good");
}

#[tokio::test]
async fn a_box_of_no_order_and_one_without_an_instruction_are_told_as_well() {
    let room = Room::on("2026-07-01").await;
    check(&room, "null", "expected_total_weight_kg, actual_weight_kg", "0, 1").await;
    let beef = room.stocked().await;
    let order = room.allocated(beef, 8, "SW1A 1AA").await;
    check(&room, &format!("'{order}'"), "expected_total_weight_kg, actual_weight_kg", "6, 6").await;
    assert_eq!(open(&room).await, json!([["packed_wrong", "its order has no packing instruction", "ann"]]));
    assert_eq!(count(room.pool(), "raw_ops.alert_log where source_check = 'packing'").await, 2);
    assert_eq!(count(room.pool(), "raw_ops.dead_letter_queue").await, 0);
    let nonsense = "select engine.enqueue('packing.judge_check', jsonb_build_object('check_id', id), queue => 'packing')
        from (values ('x'), ('99')) v (id)";
    execute(room.pool(), nonsense).await;
    run_all(&room.db, room.kinds()).await;
    let ends = "select state from engine.job_state where kind = 'packing.judge_check' order by id desc limit 2";
    assert_eq!(rows(room.pool(), ends).await, json!([["cancelled"], ["dead"]]));
}
