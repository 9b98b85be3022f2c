//! Puts Shopify documents into the inbox and reads what became of them.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

/// A paid UK order with VAT in its prices: `tests/fixtures/shopify/order_paid.json`.
pub fn paid() -> Value {
    serde_json::from_str(include_str!("../fixtures/shopify/order_paid.json")).expect("the fixture is JSON")
}

/// The paid order with these fields in place of its own.
pub fn paid_with(fields: Value) -> Value {
    let mut document = paid();
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    document.as_object_mut().expect("an order is an object").extend(fields);
    document
}

/// The paid order some seconds after it was first written, with these fields in place of its own.
pub fn later(seconds: u32, fields: Value) -> Value {
    let mut document = paid_with(json!({ "updated_at": format!("2026-03-29T02:00:{:02}+01:00", 1 + seconds) }));
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    document.as_object_mut().expect("an order is an object").extend(fields);
    document
}

/// Stores a document as a verified webhook of this topic.
pub async fn receive(pool: &PgPool, topic: &str, document: &Value) -> Uuid {
    sqlx::query_scalar(
        "insert into raw_ops.webhook_inbox (topic, raw_headers, raw_payload, hmac_verified, shop, webhook_id)
         values ($1, '{}', $2, true, 'protocol-raw.myshopify.com', gen_random_uuid()::text) returning id",
    )
    .bind(topic)
    .bind(document)
    .fetch_one(pool)
    .await
    .expect("the inbox takes any document")
}

/// Receives a document and writes it down; says what happened, or the error.
pub async fn process(pool: &PgPool, document: &Value) -> Result<String, String> {
    let inbox_id = receive(pool, "orders/updated", document).await;
    process_again(pool, inbox_id).await
}

/// Writes down what lies in the inbox.
pub async fn process_again(pool: &PgPool, inbox_id: Uuid) -> Result<String, String> {
    sqlx::query_scalar("select outcome from raw_ops.process_order_webhook_txn($1)")
        .bind(inbox_id)
        .fetch_one(pool)
        .await
        .map_err(|error| error.to_string())
}

/// The one row that a query gives, as JSON.
pub async fn row(pool: &PgPool, query: &str) -> Value {
    let sql = format!("select to_jsonb(q) from ({query}) q");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(pool).await.expect("the query gives one row")
}

/// How many rows a table has, with a condition.
pub async fn count(pool: &PgPool, from: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {from}"))).fetch_one(pool).await.expect("the table exists")
}

/// Runs one statement of a test's own.
pub async fn execute(pool: &PgPool, statement: &str) {
    sqlx::query(AssertSqlSafe(statement.to_string())).execute(pool).await.expect("the statement is sound");
}
