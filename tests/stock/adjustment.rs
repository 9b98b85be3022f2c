//! Corrections by hand, and edits of what is derived from the batches.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::orders::inbox::{count, execute, row};
use crate::support::{
    Database,
    shelf::{Batch, message, order, product, rows},
};

const MOVEMENTS: &str = "select m.sku, m.movement_type, m.qty_change, m.qty_before, m.qty_after, m.reference_type, b.batch_code, m.notes
    from raw_ops.inventory_movements m left join raw_ops.batches b on b.id = m.reference_id order by m.created_at";

async fn adjust(db: &Database, batch: Uuid, change: i32, reason: &str, by: &str) -> Result<Value, String> {
    sqlx::query_scalar(
        "select jsonb_build_array(a.qty_before, a.qty_after) from raw_ops.execute_manual_inventory_adjustment($1, $2, $3, $4) a",
    )
    .bind(batch)
    .bind(change)
    .bind(reason)
    .bind(by)
    .fetch_one(db.pool())
    .await
    .map_err(|error| message(&error))
}

#[tokio::test]
async fn a_correction_changes_the_batch_and_everything_derived_from_it_with_one_movement() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    let batch = Batch::of(10, 30).put(db.pool(), "b1", beef).await;
    Batch::of(5, 40).put(db.pool(), "b2", beef).await;
    assert_eq!(adjust(&db, batch, -3, " broken ", "ann").await, Ok(json!([10, 7])));
    assert_eq!(adjust(&db, batch, 1, "found", "bob").await, Ok(json!([7, 8])));

    assert_eq!(
        rows(db.pool(), MOVEMENTS).await,
        json!([
            ["BEEF", "manual_adjustment", -3, 15, 12, "batch", "b1", "broken (ann)"],
            ["BEEF", "manual_adjustment", 1, 12, 13, "batch", "b1", "found (bob)"],
        ])
    );
    assert_eq!(rows(db.pool(), "select location, kg_available from raw_ops.inventory").await, json!([["3PL-PRIMARY", 4.0]]));
    assert_eq!(rows(db.pool(), "select sku, qty_available from raw_ops.inventory_on_hand").await, json!([["BEEF", 13]]));
    let told = row(db.pool(), "select message, meta ->> 'adjusted_by' as by from raw_ops.ops_events order by created_at limit 1").await;
    assert_eq!(told, json!({ "message": "ann changed b1 by -3: broken", "by": "ann" }));
}

#[tokio::test]
async fn a_batch_that_lies_in_two_places_gives_from_the_larger() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    let batch = Batch::of(10, 30).put(db.pool(), "b1", beef).await;
    execute(db.pool(), "insert into raw_ops.inventory (batch_id, location, kg_available) select id, l, kg from raw_ops.batches, (values ('A', 2), ('B', 3)) v (l, kg)").await;
    adjust(&db, batch, -4, "broken", "ann").await.expect("there is enough");
    let places = rows(db.pool(), "select location, kg_available from raw_ops.inventory order by 1").await;
    assert_eq!(places, json!([["A", 2], ["B", 1.0]]));
}

#[tokio::test]
async fn a_correction_that_cannot_be_right_is_refused_with_its_reason() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    let batch = Batch { reserved: 6, ..Batch::of(10, 30) }.put(db.pool(), "b1", beef).await;
    let nameless = "an adjustment needs a change that is not 0, a reason and the name of who makes it";
    let held = "batch b1 has 10 units on hand, 6 of them reserved: it cannot change by -5; cancel orders that hold them first";
    let unknown = Uuid::new_v4();
    for (batch, change, reason, by, refusal) in [
        (batch, 0, "count", "ann", nameless),
        (batch, 1, " ", "ann", nameless),
        (batch, 1, "count", "", nameless),
        (batch, -5, "broken", "ann", held),
        (unknown, 1, "count", "ann", &format!("there is no batch {unknown} of a product")),
    ] {
        assert_eq!(adjust(&db, batch, change, reason, by).await, Err(refusal.to_owned()));
    }
    assert_eq!(count(db.pool(), "raw_ops.inventory_movements").await, 0);
    assert_eq!(adjust(&db, batch, -4, "broken", "ann").await, Ok(json!([10, 6])), "what nobody holds can go");
}

#[tokio::test]
async fn what_is_found_wakes_who_waits_and_what_is_in_quarantine_does_not() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    let held = Batch::of(1, 30).status("QA_HOLD").put(db.pool(), "held", beef).await;
    let free = Batch::of(0, 30).put(db.pool(), "free", beef).await;
    order(db.pool(), &[(beef, 1)]).await;
    execute(db.pool(), "delete from engine.ready").await;
    execute(db.pool(), "truncate engine.job, engine.unique_key").await;
    adjust(&db, held, 5, "found", "ann").await.expect("any batch can be corrected");
    assert_eq!(count(db.pool(), "engine.job").await, 0);
    adjust(&db, free, 5, "found", "ann").await.expect("any batch can be corrected");
    assert_eq!(count(db.pool(), "engine.job").await, 1);
}

#[tokio::test]
async fn an_edit_of_inventory_is_written_down_and_leaves_the_units_as_they_are() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::of(10, 30).put(db.pool(), "b1", beef).await;
    execute(db.pool(), "insert into raw_ops.inventory (batch_id, location, kg_available) select id, 'A', 5 from raw_ops.batches").await;
    execute(db.pool(), "update raw_ops.inventory set location = 'B', kg_available = 5").await;
    assert_eq!(count(db.pool(), "raw_ops.inventory_movements").await, 0, "no kilogram moved");
    execute(db.pool(), "update raw_ops.inventory set kg_available = 3.5").await;
    let user: String = sqlx::query_scalar("select session_user::text").fetch_one(db.pool()).await.expect("a name");
    assert_eq!(
        rows(db.pool(), MOVEMENTS).await,
        json!([["BEEF", "inventory_edit", -3, 10, 7, "batch", "b1", format!("B: 5 kg became 3.5 kg, by {user}")]])
    );
    assert_eq!(count(db.pool(), "raw_ops.batches where qty_on_hand = 10").await, 1);
}
