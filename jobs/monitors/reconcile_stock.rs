//! Say which figures of stock do not agree with each other.
//!
//! units of batches -> what is derived from them, by raw_ops.stock_drift -> one alert that names what differs
//!
//! Started by  schedules, every night
//! Unique by   schedule
//!
//! Nothing is put right: a figure that drifted was changed by somebody outside the functions that move stock, and only a
//! person knows which of the two is true. `execute_manual_inventory_adjustment` puts units right.

use engine::{Job, JobResult, Run, Tx};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const KEY: &str = "stock drift";
const TITLE: &str = "Stock does not agree with itself";
/// Figures that an alert names; the rest are counted.
const NAMED: usize = 10;

/// Looks once.
#[derive(Debug, Clone, Default, JsonSchema, Serialize, Deserialize)]
pub struct ReconcileStock {}

/// A figure that differs.
#[derive(Debug, Serialize, sqlx::FromRow)]
struct Drift {
    figure: String,
    subject: String,
    expected: f64,
    found: f64,
}

impl Job for ReconcileStock {
    const KIND: &'static str = "monitors.reconcile_stock";
    const QUEUE: &'static str = "monitors";
    const PRIORITY: i16 = 6;

    fn schema() -> Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut tx = run.begin().await?;
        let drifts: Vec<Drift> = sqlx::query_as(
            "select figure, subject, expected::float8 as expected, found::float8 as found from raw_ops.stock_drift() order by figure, subject",
        )
        .fetch_all(&mut *tx)
        .await?;
        tell(&mut tx, &drifts).await?;
        let named = &drifts[..drifts.len().min(100)];
        run.complete_in(tx, json!({ "drifts": drifts.len(), "first": named })).await
    }
}

async fn tell(tx: &mut Tx, drifts: &[Drift]) -> JobResult<()> {
    if drifts.is_empty() {
        sqlx::query("select raw_ops.clear_alert($1, $2, 'every figure agrees again')").bind(KEY).bind(TITLE).execute(&mut **tx).await?;
        return Ok(());
    }
    let fields: Vec<Value> = drifts.iter().take(NAMED).map(Drift::field).collect();
    sqlx::query("select from raw_ops.raise_alert('warning', $1, $2, $3, key => $4, source_check => 'reconcile_stock')")
        .bind(TITLE)
        .bind(format!("{} figures differ from the units of batches", drifts.len()))
        .bind(json!(fields))
        .bind(KEY)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

impl Drift {
    fn field(&self) -> Value {
        let (label, value) = (format!("{}: {}", self.figure, self.subject), format!("{} instead of {}", self.found, self.expected));
        json!({ "label": label, "value": value, "inline": true })
    }
}
