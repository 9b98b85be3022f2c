//! Single mails: each is sent once, and its row says what is known of it.

mod crashes;
mod deliver_message;
mod outage;
mod sweep_messages;

use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

/// A row of the outbox.
#[derive(Debug, PartialEq, sqlx::FromRow)]
pub struct Mail {
    pub state: String,
    pub attempts: i32,
    pub error_message: Option<String>,
    pub delivery_id: Option<String>,
}

/// Puts a mail to this person into the outbox, by plain SQL.
pub async fn put(pool: &PgPool, to: &str) -> Uuid {
    put_payload(pool, json!({ "to": to, "transactional_message_id": "order_dispatched", "message_data": { "order": "#1" } })).await
}

/// Puts a row with this payload into the outbox.
pub async fn put_payload(pool: &PgPool, payload: Value) -> Uuid {
    sqlx::query_scalar(
        "insert into raw_ops.outbox (target, event_type, payload_json) values ('customerio', 'order_dispatched', $1) returning id",
    )
    .bind(payload)
    .fetch_one(pool)
    .await
    .expect("anybody may put a row there")
}

/// The row.
pub async fn mail(pool: &PgPool, id: Uuid) -> Mail {
    sqlx::query_as("select state, attempts, error_message, delivery_id from raw_ops.outbox where id = $1")
        .bind(id)
        .fetch_one(pool)
        .await
        .expect("it is there")
}

/// Lets every category be tried again at once.
pub async fn retry_at_once(pool: &PgPool) {
    sqlx::query("update raw_ops.retry_config set backoff_seconds = '{0}'").execute(pool).await.expect("the policy is data");
}
