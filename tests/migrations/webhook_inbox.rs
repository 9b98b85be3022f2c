//! The inbox's keys: one delivery is one row; one body may be many.

use crate::orders::inbox::count;
use crate::support::Database;

const DELIVERY: &str = "insert into raw_ops.webhook_inbox (topic, raw_headers, raw_payload, shop, webhook_id, body_sha256)
    values ('orders/create', '{}', '{}', $1, $2, sha256('same')) on conflict (source, shop, webhook_id) do nothing";

#[tokio::test]
async fn a_delivery_is_stored_once_and_a_body_as_often_as_it_comes() {
    let db = Database::new().await;
    for (shop, webhook_id, rows) in
        [("a", Some("1"), 1), ("a", Some("1"), 0), ("a", Some("2"), 1), ("b", Some("1"), 1), ("a", None, 1), ("a", None, 1)]
    {
        let stored = sqlx::query(DELIVERY).bind(shop).bind(webhook_id).execute(db.pool()).await.expect("the inbox takes it");
        assert_eq!(stored.rows_affected(), rows, "{shop} {webhook_id:?}");
    }
    assert_eq!(count(db.pool(), "raw_ops.webhook_inbox where body_sha256 = sha256('same')").await, 5);
}

#[tokio::test]
async fn a_digest_of_another_length_is_refused() {
    let db = Database::new().await;
    let stored = sqlx::query(
        "insert into raw_ops.webhook_inbox (topic, raw_headers, raw_payload, body_sha256) values ('orders/create', '{}', '{}', '\\x00')",
    )
    .execute(db.pool())
    .await;
    assert!(stored.is_err());
}
