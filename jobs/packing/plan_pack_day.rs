//! See to it that every box of a day has its instruction.
//!
//! orders without one -> a child each, packing.calculate_instructions -> how many have one now, how many wait or cannot be packed
//!
//! Started by  schedules, before the export, as `calculate-pack-day-instructions`; the HTTP function of that name
//! Unique by   day, where the HTTP function starts it
//! Rejected    when the rules cannot be read: one dead letter, and not one an order
//!
//! Run again on the same day it finds what has come since. What cannot be packed is told to people each time, and so is what was
//! found of it before: it is counted in the tables, since most of it is no child of this run. Of an order that has not gone to
//! the packer the last plan holds, whichever day it is of.

use std::time::Duration;

use chrono::{Days, NaiveDate};
use engine::{Ending, Failure, Job, JobResult, NewJob, Outcome, Run, Tx};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{
    calculate_instructions::{CalculateInstructions, Came},
    calendar::Calendar,
    facts::read_rules,
};

/// Orders of one run: what is left waits for the next.
const MOST_ORDERS: i32 = 5_000;
/// How far ahead a day may lie: forecasts reach little further.
const HORIZON: Days = Days::new(10);
/// Of the boxes that have not been packed: how many cannot be, these orders among them; how many will be for assumed weather.
const OPEN_BOXES: &str = "
    select
        count(*) filter (where o.id = any ($1) or o.id in (
            select e.order_id from raw_ops.exceptions_queue e where e.issue_type = 'cannot_be_packed' and not e.resolved)),
        count(*) filter (where p.calculated_by = 'automated' and p.forecast_retrieved_at is null and p.pack_on >= raw_ops.today())
    from raw_ops.orders o
    left join raw_ops.packing_instructions p on p.order_id = o.id
    where o.status in ('ALLOCATED', 'EXPORTED') and not exists (select from raw_ops.pack_quality_checks c where c.order_id = o.id)";

/// Plans a day.
#[derive(Debug, Clone, Default, JsonSchema, Serialize, Deserialize)]
pub struct PlanPackDay {
    /// The day on which the boxes are packed; today in London unless it is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub pack_day: Option<NaiveDate>,
}

/// What a run found to do.
#[derive(Debug, Serialize, Deserialize)]
struct Found {
    today: NaiveDate,
    day: NaiveDate,
    is_pack_day: bool,
    orders: Vec<Uuid>,
}

/// How the orders of a day stand, after a run.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Figures {
    pack_day: NaiveDate,
    /// Whether anything is packed on this day at all.
    is_pack_day: bool,
    /// Orders that were looked at.
    orders: usize,
    /// Those that have an instruction now.
    calculated: usize,
    /// Of those, the ones whose weather is assumed.
    assumed: usize,
    /// Those that leave on a later day.
    waiting: usize,
    /// Those that cannot be packed.
    held: usize,
    /// Those that had an instruction by then, or need none any more.
    settled: usize,
    /// Those whose job failed.
    failed: usize,
}

impl Job for PlanPackDay {
    const KIND: &'static str = "packing.plan_pack_day";
    const QUEUE: &'static str = "packing";
    const PRIORITY: i16 = 2;
    const TIMEOUT: Duration = Duration::from_mins(2);

    fn schema() -> Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let found = run.step("find", async |tx| self.find(tx).await).await?;
        let last = found.today.checked_add_days(HORIZON).unwrap_or(NaiveDate::MAX);
        if !(found.today..=last).contains(&found.day) {
            return Ok(Outcome::Cancel(format!("the day must be from {} to {last}", found.today)));
        }
        let mut endings = Vec::new();
        if !found.orders.is_empty() {
            let jobs: Result<Vec<NewJob>, _> = found.orders.iter().map(|order| job(*order, found.day)).collect();
            let orders = run.children("orders", &jobs?).await?;
            endings = run.join_all(&orders).await?;
        }
        // Nothing was looked at on a day without packing, so there is nothing to say of it, and nothing to take back.
        if found.is_pack_day {
            run.step("tell", async |tx| found.tell(&endings, tx).await).await?;
        }
        Ok(Outcome::Done(serde_json::to_value(Figures::of(&found, &endings))?))
    }
}

fn job(order_id: Uuid, pack_day: NaiveDate) -> Result<NewJob, Failure> {
    Ok(NewJob::of(&CalculateInstructions { order_id, pack_day })?)
}

impl PlanPackDay {
    async fn find(&self, tx: &mut Tx) -> JobResult<Found> {
        let today: NaiveDate = sqlx::query_scalar("select raw_ops.today()").fetch_one(&mut **tx).await?;
        let day = self.pack_day.unwrap_or(today);
        let (_, rules) = read_rules(tx).await?;
        let is_pack_day = Calendar::new(rules.days).is_pack_day(day).map_err(|error| Failure::validation(error.to_string()))?;
        let orders = if is_pack_day {
            sqlx::query_scalar("select raw_ops.orders_to_pack($1, $2)").bind(day).bind(MOST_ORDERS).fetch_all(&mut **tx).await?
        } else {
            Vec::new()
        };
        Ok(Found { today, day, is_pack_day, orders })
    }
}

impl Figures {
    fn of(found: &Found, endings: &[Ending]) -> Self {
        let came: Vec<Option<Came>> = endings.iter().map(came).collect();
        let count = |wanted: fn(&Came) -> bool| came.iter().flatten().filter(|came| wanted(came)).count();
        Self {
            pack_day: found.day,
            is_pack_day: found.is_pack_day,
            orders: found.orders.len(),
            calculated: count(|came| matches!(came, Came::Calculated { .. })),
            assumed: count(|came| matches!(came, Came::Calculated { assumed: true })),
            waiting: count(|came| matches!(came, Came::Waiting { .. })),
            held: count(|came| matches!(came, Came::Held { .. })),
            settled: count(|came| matches!(came, Came::Known | Came::Closed)),
            failed: came.iter().filter(|came| came.is_none()).count(),
        }
    }
}

/// What came of an order; none when its job failed.
fn came(ending: &Ending) -> Option<Came> {
    ending.output().ok().flatten()
}

impl Found {
    /// Tells people what needs them, and that it is over.
    async fn tell(&self, endings: &[Ending], tx: &mut Tx) -> JobResult<()> {
        let failed = self.orders.iter().zip(endings).filter(|(_, ending)| came(ending).is_none()).map(|(order, _)| *order);
        let (lacking, assumed): (i64, i64) = sqlx::query_as(OPEN_BOXES).bind(failed.collect::<Vec<Uuid>>()).fetch_one(&mut **tx).await?;
        let words = format!("{lacking} orders of {} have no packing instruction: see exceptions_queue and the dead letters", self.day);
        alert(tx, "packing held", "Boxes that cannot be packed", (lacking > 0).then_some(&words)).await?;
        let words = format!("{assumed} boxes are packed for assumed weather, since no forecast was to be had: see special_notes of each");
        alert(tx, "packing weather", "No weather forecast", (assumed > 0).then_some(&words)).await
    }
}

async fn alert(tx: &mut Tx, key: &str, title: &str, words: Option<&String>) -> JobResult<()> {
    let query = match words {
        Some(_) => "select from raw_ops.raise_alert('warning', $1, $3, key => $2, source_check => 'packing')",
        None => "select from raw_ops.clear_alert($2, $1, coalesce($3, 'all boxes of the day can be packed as they should'))",
    };
    sqlx::query(query).bind(title).bind(key).bind(words).execute(&mut **tx).await?;
    Ok(())
}
