//! A database whose clock stands still, and rows put in by name: what the tests of the views stand on.

use chrono::{DateTime, Duration, Utc};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use crate::support::Database;

/// Noon in London's first summer time of 2026, eleven hours after its clocks went forward.
const NOW: &str = "2026-03-29T11:00:00Z";

/// A database where it is [`now`] until somebody says otherwise.
pub async fn database() -> Database {
    let db = Database::new().await;
    let clock =
        format!("create or replace function engine.now() returns timestamptz language sql volatile as 'select ''{NOW}''::timestamptz'");
    sqlx::query(AssertSqlSafe(clock)).execute(db.pool()).await.expect("a test's clock can be set");
    db
}

/// The time of the clock that stands still.
pub fn now() -> DateTime<Utc> {
    NOW.parse().expect("a time")
}

/// So many minutes before [`now`].
pub fn ago(minutes: i64) -> DateTime<Utc> {
    now() - Duration::minutes(minutes)
}

/// Puts a row into a table: the named columns, and the table's defaults for the others. Returns its id.
pub async fn insert(pool: &PgPool, table: &str, row: Value) -> Uuid {
    let columns = row.as_object().expect("a row is an object").keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "insert into raw_ops.{table} ({columns}) select {columns} from jsonb_populate_record(null::raw_ops.{table}, $1) returning id"
    );
    sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(&row)
        .fetch_one(pool)
        .await
        .unwrap_or_else(|error| panic!("{table} takes no {row}: {error}"))
}

/// A row with more fields, or others in place of its own.
pub fn with(mut row: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    row.as_object_mut().expect("a row is an object").extend(fields);
    row
}

/// The rows of a query, each as JSON.
pub async fn rows(pool: &PgPool, query: &str) -> Vec<Value> {
    let sql = format!("select to_jsonb(q) from ({query}) q");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(pool).await.unwrap_or_else(|error| panic!("{query}: {error}"))
}

/// The only row of a query, as JSON.
pub async fn row(pool: &PgPool, query: &str) -> Value {
    let mut found = rows(pool, query).await;
    assert_eq!(found.len(), 1, "{query} gives one row, not {found:#?}");
    found.remove(0)
}

/// A time as a row has it in JSON: in the session's time zone, UTC in tests.
pub fn stamp(time: DateTime<Utc>) -> Value {
    Value::String(time.format("%Y-%m-%dT%H:%M:%S+00:00").to_string())
}
