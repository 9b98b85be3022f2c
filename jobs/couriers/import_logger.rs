//! Read the file of a temperature logger, and say whether its parcel stayed cold.
//!
//! inbox row -> readings, audit of the parcel; of a breach an alert and a case, in the commit of this job's completion
//!
//! Started by  web/functions/import_temperature_log.rs
//! Unique by   inbox row; the same file for the same parcel is taken once
//! Waits       for the parcel's arrival, `cold_chain.wait_hours` at most: after them nothing fails by it
//! Rejected    when it is no log: category `validation`
//!
//! The parcel may be known later than its log: until then it fails as `not_ready`, which the policy tries again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use engine::{Failure, Job, JobResult, Outcome, Run, Tx};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    cold_chain::{Rules, Trip, Verdict, judge},
    temperature_log::{self, Reading},
};

/// How long a log waits until it asks again whether its parcel has arrived.
const PAUSE: Duration = Duration::from_mins(30);

/// Reads the log that lies in `raw_ops.webhook_inbox` under this id.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct ImportLogger {
    /// The row of the inbox.
    pub inbox_id: Uuid,
}

/// The parcel of a log, and what it may be like.
#[derive(Debug, sqlx::FromRow)]
struct Parcel {
    shipment_id: Option<Uuid>,
    left_at: Option<DateTime<Utc>>,
    arrived_at: Option<DateTime<Utc>>,
    limit_c: Decimal,
    tolerated_minutes: i32,
}

impl Job for ImportLogger {
    const KIND: &'static str = "couriers.import_logger";
    const QUEUE: &'static str = "couriers";

    fn schema() -> Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut tx = run.begin().await?;
        let readings = self.read(&mut tx).await?;
        let parcel = self.parcel(&mut tx, &readings).await?;
        let Some(shipment_id) = parcel.shipment_id else {
            return Err(Failure::not_ready("no parcel has the number that the log is for"));
        };
        if parcel.arrived_at.is_none() && self.may_wait(&mut tx).await? {
            return Ok(Outcome::Snooze(PAUSE));
        }
        let verdict = judge(&readings, parcel.trip(), parcel.rules());
        let data_id = self.save(&mut tx, shipment_id, &readings, &verdict).await?;
        run.complete_in(tx, json!({ "shipment_id": shipment_id, "data_id": data_id, "class": verdict.class })).await
    }
}

impl ImportLogger {
    async fn read(&self, tx: &mut Tx) -> JobResult<Vec<Reading>> {
        let body: Option<Vec<u8>> = sqlx::query_scalar("select raw_body from raw_ops.webhook_inbox where id = $1 and raw_body is not null")
            .bind(self.inbox_id)
            .fetch_optional(&mut **tx)
            .await?;
        let body = body.ok_or_else(|| Failure::validation(format!("log {} is not in the inbox", self.inbox_id)))?;
        temperature_log::parse(&body).map_err(|refusal| Failure::validation(refusal.to_string()))
    }

    /// The parcel that had the number while the log was written.
    async fn parcel(&self, tx: &mut Tx, readings: &[Reading]) -> JobResult<Parcel> {
        let parcel = sqlx::query_as("select * from raw_ops.parcel_of_log($1, $2, $3)")
            .bind(self.inbox_id)
            .bind(readings.first().map(|reading| reading.at))
            .bind(readings.last().map(|reading| reading.at))
            .fetch_one(&mut **tx)
            .await?;
        Ok(parcel)
    }

    /// Whether the log is so new that the scan of the arrival may still come.
    async fn may_wait(&self, tx: &mut Tx) -> JobResult<bool> {
        let query = "select received_at > engine.now() - make_interval(hours => raw_ops.threshold('cold_chain.wait_hours')::integer)
            from raw_ops.webhook_inbox where id = $1";
        Ok(sqlx::query_scalar(query).bind(self.inbox_id).fetch_one(&mut **tx).await?)
    }

    async fn save(&self, tx: &mut Tx, shipment_id: Uuid, readings: &[Reading], verdict: &Verdict) -> JobResult<i64> {
        let celsius = |hundredths: i32| Decimal::new(hundredths.into(), 2);
        let readings: Vec<Value> =
            readings.iter().map(|reading| json!({ "t": reading.at, "c": f64::from(reading.hundredths) / 100.0 })).collect();
        let figures = verdict.figures.map(|figures| {
            json!({
                "min": celsius(figures.min), "max": celsius(figures.max), "mean": celsius(figures.mean), "arrival": celsius(figures.arrival),
                "above_5": figures.above_5_minutes, "above_10": figures.above_10_minutes, "start": figures.start, "end": figures.end,
            })
        });
        let data_id = sqlx::query_scalar("select raw_ops.save_temperature_log($1, $2, $3, $4, $5, $6)")
            .bind(self.inbox_id)
            .bind(shipment_id)
            .bind(Value::Array(readings))
            .bind(figures.unwrap_or_else(|| json!({})))
            .bind(json!(verdict.class).as_str())
            .bind(&verdict.details)
            .fetch_one(&mut **tx)
            .await?;
        Ok(data_id)
    }
}

impl Parcel {
    const fn trip(&self) -> Trip {
        Trip { from: self.left_at, until: self.arrived_at }
    }

    fn rules(&self) -> Rules {
        let hundredths = (self.limit_c * Decimal::ONE_HUNDRED).round().to_i32();
        Rules { limit: hundredths.unwrap_or_default(), tolerated: TimeDelta::minutes(self.tolerated_minutes.into()) }
    }
}
