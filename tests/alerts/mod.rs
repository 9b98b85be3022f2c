//! Alerts: who hears of what, and how often.

mod ops_alerter;
mod post_alert;
mod raise;
mod report_failures;

use sqlx::PgPool;

use crate::support::Outside;

/// What stands in Slack: channel and fallback text of each message.
pub fn told(outside: &Outside) -> Vec<(String, String)> {
    let text = |message: &sandbox::slack::Message| message.body["text"].as_str().expect("every message has a text").to_owned();
    outside.slack.messages().iter().map(|message| (message.channel.clone(), text(message))).collect()
}

/// Runs a statement of a test's own.
pub async fn execute(pool: &PgPool, statement: &'static str) {
    sqlx::query(statement).execute(pool).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// Raises an alert with this key; what became of it.
pub async fn raise(pool: &PgPool, severity: &str, key: Option<&str>) -> String {
    sqlx::query_scalar("select outcome from raw_ops.raise_alert($1, 'Stock', 'low', '[]', key => $2)")
        .bind(severity)
        .bind(key)
        .fetch_one(pool)
        .await
        .expect("anybody who may raises it")
}
