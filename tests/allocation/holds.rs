//! Stock that an order holds while it waits for its payment.

use engine::{Client, NewJob};
use jobs::allocation::ReleaseHolds;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::orders::inbox::{count, execute, later, paid_with, process, row};
use crate::support::{
    Database, clock, run_all,
    shelf::{Batch, allocate, order, product, rows},
};

/// An order that was placed so many minutes ago and is not paid. Returns how many units it holds.
async fn placed(pool: &PgPool, minutes: i32, lines: &[(Uuid, i32)]) -> (Uuid, i32) {
    let order: Uuid = sqlx::query_scalar(
        "insert into raw_ops.orders (status, ordered_at) values ('PENDING', engine.now() - make_interval(mins => $1)) returning id",
    )
    .bind(minutes)
    .fetch_one(pool)
    .await
    .expect("an order can be made");
    for (product, units) in lines {
        let line = "insert into raw_ops.order_items (order_id, product_id, qty, unit_price_ex_vat) values ($1, $2, $3, 1)";
        sqlx::query(line).bind(order).bind(product).bind(units).execute(pool).await.expect("a line can be made");
    }
    (order, hold(pool, order).await)
}

async fn hold(pool: &PgPool, order: Uuid) -> i32 {
    sqlx::query_scalar("select raw_ops.hold_stock($1)").bind(order).fetch_one(pool).await.expect("a count")
}

/// Of each batch: its code, reserved, held.
async fn shelf(pool: &PgPool) -> Value {
    rows(pool, "select batch_code, qty_reserved, qty_soft_reserved from raw_ops.batches order by batch_code").await
}

/// The status that an order gets, as Shopify's documents bring it.
async fn becomes(pool: &PgPool, order: Uuid, status: &str) {
    execute(pool, &format!("update raw_ops.orders set status = '{status}' where id = '{order}'")).await;
    execute(pool, &format!("select raw_ops.request_allocation('{order}', '{status}')")).await;
}

async fn release(db: &Database) -> Value {
    let job = NewJob::of(&ReleaseHolds {}).expect("the arguments are JSON");
    let id = Client::new(db.pool().clone()).enqueue(&job).await.expect("the queue takes the job").id;
    run_all(db, jobs::kinds()).await;
    row(db.pool(), &format!("select output from engine.job_state where id = {id}")).await["output"].take()
}

#[tokio::test]
async fn what_an_unpaid_order_holds_is_kept_from_others_and_becomes_its_own_when_it_is_paid() {
    let db = Database::new().await;
    let pool = db.pool();
    let beef = product(pool, "BEEF").await;
    Batch::of(4, 30).put(pool, "b1", beef).await;
    Batch::of(10, 60).put(pool, "b2", beef).await;
    let (waits, held) = placed(pool, 0, &[(beef, 4), (beef, 2)]).await;
    assert_eq!(held, 6);
    assert_eq!(shelf(pool).await, json!([["b1", 0, 4], ["b2", 0, 2]]), "what expires first is held first");

    let other = order(pool, &[(beef, 9)]).await;
    assert_eq!(allocate(pool, other).await, ("partial".into(), 8, 1));
    let free = rows(pool, "select batch_code, units_soft_reserved, units_free from raw_ops.v_inventory_status order by 1").await;
    assert_eq!(free, json!([["b1", 4, 0], ["b2", 2, 0]]));
    let drift = count(pool, "raw_ops.stock_drift() where figure like 'units % of a batch'").await;
    assert_eq!(drift, 0);

    becomes(pool, waits, "PAID").await;
    assert_eq!(allocate(pool, waits).await, ("allocated".into(), 6, 0));
    assert_eq!(shelf(pool).await, json!([["b1", 4, 0], ["b2", 10, 0]]));
    assert_eq!(count(pool, "raw_ops.soft_reservations").await, 0);
    assert_eq!(hold(pool, waits).await, 0, "a paid order holds nothing");
    execute(pool, "update raw_ops.batches set qty_soft_reserved = 3 where batch_code = 'b1'").await;
    let drift = rows(pool, "select subject, expected, found from raw_ops.stock_drift() where figure = 'units held of a batch'").await;
    assert_eq!(drift, json!([["b1", 0, 3]]));
}

#[tokio::test]
async fn a_hold_ends_in_time_and_who_waited_for_the_stock_gets_it() {
    let db = Database::new().await;
    let pool = db.pool();
    clock::own(pool).await;
    let (beef, lamb) = (product(pool, "BEEF").await, product(pool, "LAMB").await);
    Batch::of(5, 30).put(pool, "b1", beef).await;
    Batch::of(5, 30).put(pool, "l1", lamb).await;
    let (_, early) = placed(pool, 50, &[(beef, 5), (lamb, 1)]).await;
    let (_, late) = placed(pool, 10, &[(lamb, 3)]).await;
    assert_eq!((early, late, placed(pool, 61, &[(lamb, 1)]).await.1), (6, 3, 0), "its time was up before it came");
    let waiting = order(pool, &[(beef, 5)]).await;
    assert_eq!(allocate(pool, waiting).await.0, "waiting");
    assert_eq!(release(&db).await, json!({ "orders": 0 }));

    clock::step(pool, 11.0 * 60.0).await;
    assert_eq!(release(&db).await, json!({ "orders": 1 }));
    assert_eq!(shelf(pool).await, json!([["b1", 5, 0], ["l1", 0, 3]]));
    assert_eq!(count(pool, &format!("raw_ops.orders where id = '{waiting}' and status = 'ALLOCATED'")).await, 1);
    assert_eq!(count(pool, "raw_ops.ops_events where kind = 'stock_hold_ended'").await, 1);
    clock::step(pool, 40.0 * 60.0).await;
    assert_eq!(release(&db).await, json!({ "orders": 1 }));
    assert_eq!(shelf(pool).await, json!([["b1", 5, 0], ["l1", 0, 0]]));
}

#[tokio::test]
async fn an_order_that_changes_or_ends_holds_what_it_needs_then() {
    let db = Database::new().await;
    let pool = db.pool();
    let beef = product(pool, "BEEF").await;
    Batch::of(5, 30).put(pool, "b1", beef).await;
    let (first, _) = placed(pool, 0, &[(beef, 4)]).await;
    let (second, partly) = placed(pool, 0, &[(beef, 4)]).await;
    assert_eq!(partly, 1, "what there is");
    let waiting = order(pool, &[(beef, 2)]).await;
    run_all(&db, jobs::kinds()).await;

    execute(pool, &format!("update raw_ops.order_items set qty = 2 where order_id = '{first}'")).await;
    assert_eq!((hold(pool, first).await, hold(pool, first).await), (2, 2));
    run_all(&db, jobs::kinds()).await;
    assert_eq!(shelf(pool).await, json!([["b1", 2, 3]]), "who waited was woken");
    becomes(pool, second, "CANCELLED").await;
    becomes(pool, first, "CANCELLED").await;
    assert_eq!(shelf(pool).await, json!([["b1", 2, 0]]));
    assert_eq!(
        count(
            pool,
            &format!("raw_ops.allocations where order_item_id in (select id from raw_ops.order_items where order_id = '{waiting}')")
        )
        .await,
        1
    );
}

#[tokio::test]
async fn who_waits_for_one_product_is_woken_although_the_hold_of_another_grew() {
    let db = Database::new().await;
    let pool = db.pool();
    let (beef, lamb) = (product(pool, "BEEF").await, product(pool, "LAMB").await);
    Batch::of(4, 30).put(pool, "b1", beef).await;
    Batch::of(9, 30).put(pool, "l1", lamb).await;
    let (changes, held) = placed(pool, 0, &[(beef, 4), (lamb, 1)]).await;
    let (first, second) = (order(pool, &[(beef, 1)]).await, order(pool, &[(beef, 3)]).await);
    run_all(&db, jobs::kinds()).await;
    assert_eq!((held, shelf(pool).await), (5, json!([["b1", 0, 4], ["l1", 0, 1]])));

    execute(
        pool,
        &format!("update raw_ops.order_items set qty = case product_id when '{beef}' then 3 else 5 end where order_id = '{changes}'"),
    )
    .await;
    assert_eq!(hold(pool, changes).await, 8);
    run_all(&db, jobs::kinds()).await;
    assert_eq!(shelf(pool).await, json!([["b1", 1, 3], ["l1", 0, 5]]));
    assert_eq!(count(pool, &format!("raw_ops.orders where id = '{first}' and status = 'ALLOCATED'")).await, 1);

    // Paid for without its beef, which is free for who waits.
    execute(pool, &format!("delete from raw_ops.order_items where order_id = '{changes}' and product_id = '{beef}'")).await;
    becomes(pool, changes, "PAID").await;
    assert_eq!(allocate(pool, changes).await, ("allocated".into(), 5, 0));
    run_all(&db, jobs::kinds()).await;
    assert_eq!(shelf(pool).await, json!([["b1", 4, 0], ["l1", 5, 0]]));
    assert_eq!(count(pool, &format!("raw_ops.orders where id = '{second}' and status = 'ALLOCATED'")).await, 1);
}

#[tokio::test]
async fn a_document_of_an_unpaid_order_holds_its_stock_and_one_of_a_test_or_of_long_ago_does_not() {
    let now = chrono::Utc::now().to_rfc3339();
    for (fields, held) in [
        (json!({ "financial_status": "pending", "processed_at": now }), 4),
        (json!({ "financial_status": "authorized", "processed_at": now }), 4),
        (json!({ "financial_status": "pending" }), 0),
        (json!({ "financial_status": "paid", "processed_at": now, "test": true }), 0),
        (json!({ "financial_status": "pending", "processed_at": now, "test": true }), 0),
        (json!({ "financial_status": "partially_refunded", "processed_at": now }), 0),
    ] {
        let db = Database::new().await;
        let adult = product(db.pool(), "RAW-ADULT-1KG").await;
        Batch::of(9, 30).put(db.pool(), "b1", adult).await;
        process(db.pool(), &paid_with(fields.clone())).await.expect("the order is sound");
        assert_eq!(shelf(db.pool()).await, json!([["b1", 0, held]]), "{fields}");
        process(db.pool(), &later(1, json!({ "financial_status": "paid", "processed_at": now }))).await.expect("the order is sound");
        run_all(&db, jobs::kinds()).await;
        assert_eq!(shelf(db.pool()).await, json!([["b1", 4, 0]]), "{fields}: paid");
    }
}
