//! The queue of the packers.

use serde_json::json;

use super::stage::{ago, database, insert, rows};

#[tokio::test]
async fn orders_with_all_their_stock_wait_for_the_packers_with_their_coolant() {
    let db = database().await;
    let product = insert(db.pool(), "products", json!({ "sku": "BEEF-12", "name": "Beef", "kg": 12 })).await;
    let mut batches = Vec::new();
    for code in ["PR-260301-002", "PR-260301-001"] {
        let fields = json!({
            "batch_code": code, "product_id": product, "produced_at": "2026-03-01", "status": "RELEASED",
            "qty_on_hand": 90, "qty_reserved": 60,
        });
        batches.push(insert(db.pool(), "batches", fields).await);
    }
    let statuses = ["PENDING", "PAID", "ALLOCATED", "PARTIALLY_ALLOCATED", "EXPORTED", "DISPATCHED", "DELIVERED", "CANCELLED", "REFUNDED"];
    for (number, status) in statuses.into_iter().enumerate() {
        let order = insert(db.pool(), "orders", json!({ "status": status, "order_number_label": status, "ordered_at": ago(60) })).await;
        // Two lines; the first takes stock of both batches.
        for (line, takes) in [(1, vec![(batches[0], 2), (batches[1], 1)]), (2, vec![(batches[1], number as i64 + 1)])] {
            let fields = json!({ "order_id": order, "product_id": product, "qty": 3, "unit_price_ex_vat": 10, "pet_number": line });
            let item = insert(db.pool(), "order_items", fields).await;
            for (batch, qty) in takes {
                insert(db.pool(), "allocations", json!({ "order_item_id": item, "batch_id": batch, "qty_allocated": qty })).await;
            }
        }
        if status != "ALLOCATED" {
            let sql = "insert into raw_ops.packing_instructions (order_id, box_size, pcm_mass_kg, pcm_packs_count, risk_level)
                values ($1, '12kg', 1.5, 3, 'high')";
            sqlx::query(sql).bind(order).execute(db.pool()).await.expect("an instruction can be written");
        }
    }
    let bare = insert(db.pool(), "orders", json!({ "status": "ALLOCATED", "order_number_label": "no lines", "ordered_at": ago(60) })).await;
    let found = rows(
        db.pool(),
        "select order_number_label, units::integer, batch_codes, box_size, insulation_type, pcm_packs_count, risk_level,
            packing_instruction_id is not null as can_be_packed
         from raw_ops.v_pack_queue order by order_number_label collate \"C\"",
    )
    .await;
    let codes = json!(["PR-260301-001", "PR-260301-002"]);
    let of = |label: &str, units: i64, codes: serde_json::Value, instructed: bool| {
        json!({
            "order_number_label": label, "units": units, "batch_codes": codes, "can_be_packed": instructed,
            "box_size": instructed.then_some("12kg"), "insulation_type": instructed.then_some("Wool"),
            "pcm_packs_count": instructed.then_some(3), "risk_level": instructed.then_some("high"),
        })
    };
    // Three units of the first line, and as many of the second as the status has place in the list.
    let expected =
        [of("ALLOCATED", 3 + 3, codes.clone(), false), of("EXPORTED", 3 + 5, codes, true), of("no lines", 0, json!(null), false)];
    assert_eq!(found, expected);
    let one = rows(db.pool(), &format!("select order_id from raw_ops.v_pack_queue where order_id = '{bare}'")).await;
    assert_eq!(one.len(), 1);
}
