//! Subscriptions, as Seal tells of them.

mod billing;
mod crashes;
mod process_event;

use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

/// A subscription of Seal as it was made, with these fields in place of its own.
pub fn subscription(fields: Value) -> Value {
    let mut document = json!({
        "id": 8_458_680, "internal_id": 1001, "customer_id": "8885250982135", "email": "ann@example.test", "status": "ACTIVE",
        "order_placed": "2025-11-11T16:52:28+01:00", "order_id": "7092928086263", "total_value": 89, "currency": "GBP",
        "first_name": "Ann", "last_name": "Bell", "s_address1": "", "s_city": "", "s_zip": "", "delivery_interval": "4 week",
        "billing_interval": "4 week", "shopify_graphql_subscription_contract_id": "25708429559", "card_brand": "visa",
        "card_expiry_month": "12", "card_expiry_year": "29", "card_last_digits": "4242",
        "items": [{ "id": 1, "variant_id": "49692077785335", "quantity": 1 }],
        "billing_attempts": [attempt(1, "2025-12-11T15:00:00+00:00", json!({})), attempt(2, "2026-01-08T15:00:00+00:00", json!({}))],
        "cancelled_on": "", "paused_on": "", "log": [{ "content": "made", "created": "2025-11-11 15:52:43" }],
    });
    extend(&mut document, fields);
    document
}

/// A billing attempt that is to come, with these fields in place of its own.
pub fn attempt(id: i64, date: &str, fields: Value) -> Value {
    let mut attempt =
        json!({ "id": id, "date": date, "status": "", "order_id": "", "error_code": "", "error_message": "", "completed_at": "" });
    extend(&mut attempt, fields);
    attempt
}

/// The log of a subscription whose newest entry is of this moment.
pub fn log(moment: &str) -> Value {
    json!([{ "content": "made", "created": "2025-11-11 15:52:43" }, { "content": "changed", "created": moment }])
}

fn extend(document: &mut Value, fields: Value) {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    document.as_object_mut().expect("an object").extend(fields);
}

/// Stores a document as a verified webhook of this topic.
pub async fn receive(pool: &PgPool, topic: &str, document: &Value) -> Uuid {
    sqlx::query_scalar(
        "insert into raw_ops.seal_webhook_inbox (webhook_topic, payload, hmac_valid, received_at)
         values ($1, $2, true, clock_timestamp()) returning id",
    )
    .bind(topic)
    .bind(document)
    .fetch_one(pool)
    .await
    .expect("the inbox takes any document")
}

/// Receives a document and writes it down; says what happened, or the error.
pub async fn told(pool: &PgPool, topic: &str, document: &Value) -> Result<String, String> {
    let inbox_id = receive(pool, topic, document).await;
    sqlx::query_scalar("select outcome from raw_ops.process_seal_webhook_txn($1)")
        .bind(inbox_id)
        .fetch_one(pool)
        .await
        .map_err(|error| error.to_string())
}
