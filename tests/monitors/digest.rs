//! The numbers of a day.

use serde_json::{Value, json};

use super::shape::look;
use crate::orders::inbox::execute;
use crate::support::{
    Database,
    shelf::{Batch, allocate, order, product},
};

async fn snapshot(db: &Database, day: &str) -> Value {
    sqlx::query_scalar("select raw_ops.get_daily_snapshot($1::text::date)").bind(day).fetch_one(db.pool()).await.expect("a day has numbers")
}

#[tokio::test]
async fn a_day_begins_and_ends_by_londons_clock() {
    let db = Database::new().await;
    // 28 March 2026 ends at midnight UTC, 29 March an hour early: the clocks go forward in between.
    execute(
        db.pool(),
        "insert into raw_ops.orders (status, ordered_at, total_gbp, total_inc_vat, is_subscription)
         select v.status::raw_ops.order_status, v.at, 10, 10, v.sub from (values
             ('PAID', timestamptz '2026-03-28 23:59:59Z', false), ('PAID', '2026-03-29 00:00:00Z', true),
             ('DELIVERED', '2026-03-29 22:59:59Z', false), ('PAID', '2026-03-29 23:00:00Z', false),
             ('CANCELLED', '2026-03-29 12:00:00Z', false), ('PENDING', '2026-03-29 12:00:00Z', false)) v (status, at, sub)",
    )
    .await;
    let day = snapshot(&db, "2026-03-29").await;
    assert_eq!((&day["day"], &day["orders"], &day["subscription_orders"]), (&json!("2026-03-29"), &json!(2), &json!(1)));
    assert_eq!(day["revenue_gbp"], 20.0);
    assert_eq!(snapshot(&db, "2026-03-28").await["orders"], 1);
    assert_eq!(snapshot(&db, "2026-03-30").await["orders"], 1);
}

#[tokio::test]
async fn a_day_counts_what_left_and_what_stands_open() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::of(5, 30).put(db.pool(), "b1", beef).await;
    Batch::of(5, 30).status("QA_HOLD").put(db.pool(), "b2", beef).await;
    let first = order(db.pool(), &[(beef, 4)]).await;
    allocate(db.pool(), first).await;
    order(db.pool(), &[(beef, 9)]).await;
    execute(
        db.pool(),
        &format!("insert into raw_ops.shipments (order_id, status, dispatched_at) values ('{first}', 'DISPATCHED', engine.now())"),
    )
    .await;
    execute(db.pool(), "insert into raw_ops.shipments (order_id, status, delivered_at, dispatched_at) select order_id, 'DELIVERED', now(), now() - interval '2 d' from raw_ops.shipments").await;
    execute(db.pool(), "insert into raw_ops.support_tickets (customer_email) values ('a@example.com')").await;
    execute(db.pool(), "update raw_ops.batches set released_at = now() where batch_code = 'b1'").await;
    let day: Value = sqlx::query_scalar("select raw_ops.get_daily_snapshot(raw_ops.today())").fetch_one(db.pool()).await.expect("numbers");
    for (number, value) in [
        ("shipments_dispatched", 1),
        ("shipments_delivered", 1),
        ("units_dispatched", 4),
        ("orders_waiting", 1),
        ("batches_in_qa_hold", 1),
        ("batches_released", 1),
        ("low_stock_products", 1),
        ("tickets_opened", 1),
        ("tickets_open", 1),
        ("webhooks_failed", 0),
        ("dead_letters", 0),
        ("orders", 2),
    ] {
        assert_eq!(day[number], value, "{number}");
    }
}

#[tokio::test]
async fn the_digest_of_the_morning_is_about_yesterday() {
    let db = Database::new().await;
    execute(
        db.pool(),
        "insert into raw_ops.orders (status, ordered_at, total_gbp, total_inc_vat)
         values ('PAID', (raw_ops.today() - 1 + time '12:00') at time zone 'Europe/London', 42.5, 42.5)",
    )
    .await;
    let digest = look(&db, "daily_snapshot").await;
    let yesterday: String = sqlx::query_scalar("select (raw_ops.today() - 1)::text").fetch_one(db.pool()).await.expect("a day");
    assert_eq!(digest["title"], format!("Daily operations, {yesterday}"));
    assert_eq!(digest["message"], "1 orders, £42.50; 0 shipments left; 1 orders wait for stock");
    assert_eq!(digest["metrics"]["day"], yesterday);
}
