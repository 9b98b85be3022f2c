//! What customers ask by law: written down with its date, told, and told again.

use serde_json::json;

use crate::orders::inbox::{count, execute, paid, process, receive, row};
use crate::support::{Database, Outside, clock, run_due, shelf::rows};

const ADA: i64 = 7_234_567_890_123_456_789;

#[tokio::test]
async fn each_request_is_written_down_with_its_date_and_told() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    process(db.pool(), &paid()).await.expect("the order is sound");
    let person = json!({ "id": ADA, "email": "ada@example.test" });
    for (topic, document) in [
        ("customers/data_request", json!({ "customer": person, "orders_requested": [1, 2], "data_request": { "id": 9 } })),
        ("customers/redact", json!({ "customer": person, "orders_to_redact": [3] })),
        ("shop/redact", json!({ "shop_id": 1, "shop_domain": "raw.myshopify.com" })),
    ] {
        receive(db.pool(), topic, &document).await;
    }
    run_due(&db, outside.kinds()).await;
    let requests = rows(
        db.pool(),
        "select topic, c.email, shopify_order_ids, due_at - received_at = interval '30 days', closed_at
         from raw_ops.privacy_requests p left join raw_ops.customers c on c.id = p.customer_id order by topic",
    )
    .await;
    assert_eq!(
        requests,
        json!([
            ["customers/data_request", "ada@example.test", ["1", "2"], true, null],
            ["customers/redact", "ada@example.test", ["3"], true, null],
            ["shop/redact", null, [], true, null]
        ])
    );
    let alerts = rows(db.pool(), "select severity, delivery_status, count(*) from raw_ops.alert_log group by 1, 2 order by 1").await;
    assert_eq!(alerts, json!([["critical", "sent", 1], ["warning", "sent", 2]]));
    assert_eq!(count(db.pool(), "raw_ops.customers where email is not null").await, 1, "nothing is erased by a webhook");
}

#[tokio::test]
async fn a_request_that_is_still_open_is_told_again_a_week_before_its_date() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    clock::own(db.pool()).await;
    for number in [1, 2] {
        receive(db.pool(), "customers/redact", &json!({ "customer": { "id": number } })).await;
    }
    run_due(&db, outside.kinds()).await;
    let close = "select raw_ops.close_privacy_request(id, 'ann', 'erased') from raw_ops.privacy_requests where shopify_customer_id = '1'";
    assert_eq!(row(db.pool(), close).await, json!({ "close_privacy_request": true }));
    assert_eq!(row(db.pool(), close).await, json!({ "close_privacy_request": false }));
    let days_left = "select round(extract(epoch from run_at - engine.now()) / 86400) as days from engine.job_state
                     where kind = 'customers.remind_of_privacy_request' limit 1";
    assert_eq!(row(db.pool(), days_left).await, json!({ "days": 23 }));
    clock::step(db.pool(), 23.5 * 86_400.0).await;
    execute(db.pool(), "select raw_ops.remind_of_privacy_request(id) from raw_ops.privacy_requests").await;
    let told = rows(db.pool(), "select severity, count(*) from raw_ops.alert_log group by 1 order by 1").await;
    assert_eq!(told, json!([["critical", 1], ["warning", 2]]));
}
