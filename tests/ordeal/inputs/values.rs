//! Arguments there and back: what PostgreSQL takes as JSON comes to a handler byte for byte as the database has it, and
//! what it does not take is refused with a reason; a failure can be recorded whatever its words are; and no strange
//! neighbour holds up a job.

use std::{fmt::Write, sync::Arc, time::Duration};

use engine::{Client, Failure, Job, JobId, JobResult, Kinds, NewJob, Outcome, Run, Worker, WorkerConfig};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio_util::sync::CancellationToken;

use super::{Counts, Wrong, text};
use crate::{
    chance::{Purpose, stream},
    server::Server,
    wait::until_none_is_left,
};

/// How many are on their way at once.
const WAVE: u64 = 1000;
/// How many of them are enqueued by themselves; the others are together.
const SINGLE: usize = 50;
/// The most bytes that arguments have, as they are written and as they are stored.
const LONGEST: usize = 1 << 20;
/// How long a wave may take, on a machine under load.
const PATIENCE: Duration = Duration::from_mins(3);
/// Which of these jobs have not ended.
const OPEN: &str = "select u.id from unnest($1::bigint[]) u (id) where not exists (select from engine.attempt a where a.job_id = u.id)";

/// How many bytes PostgreSQL stores a text as that it takes as JSON; null when it does not.
const STORED: &str = "create function public.stored(given text) returns integer language plpgsql immutable as
    'begin return octet_length(given::jsonb::text); exception when others then return null; end'";
/// What came of jobs, and whether each has the arguments that it was given.
const ENDED: &str =
    "select j.id, (j.args -> 'value')::text, (j.args -> 'fails')::boolean, j.args = u.given::jsonb, a.outcome, a.error, a.output
    from unnest($1::bigint[], $2::text[]) u (id, given) join engine.job j on j.id = u.id join engine.attempt a on a.job_id = j.id";

/// What is asked for there.
type Ended = (JobId, String, bool, bool, String, Option<String>, Option<serde_json::Value>);

/// A job that answers with a digest of what it was given, or fails with it.
#[derive(Debug, Serialize, Deserialize)]
struct Echo {
    value: Box<RawValue>,
    #[serde(default)]
    fails: bool,
}

impl Job for Echo {
    const KIND: &'static str = "ordeal.echo";

    async fn run(&self, run: &mut Run) -> JobResult {
        let text = self.value.get();
        if self.fails {
            let words = serde_json::from_str::<String>(text).unwrap_or_else(|_| text.chars().take(5000).collect());
            run.log(&words).await?;
            return Err(Failure::validation(words));
        }
        Ok(Outcome::Done(json!(digest(text))))
    }
}

/// FNV-1a, in hexadecimal.
fn digest(text: &str) -> String {
    let sum = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut hex = String::new();
    write!(hex, "{sum:016x}").expect("a string takes text");
    hex
}

/// Tries so many values.
///
/// # Errors
/// The first that was changed, refused without a reason, or held something up.
pub async fn try_all(server: &Arc<Server>, seed: u64, times: u64) -> Result<Counts, Wrong> {
    let mut counts = Counts::default();
    let came = go(server, seed, times, &mut counts).await;
    counts.ended(came)
}

async fn go(server: &Arc<Server>, seed: u64, times: u64, counts: &mut Counts) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let database = server.database().await.map_err(|error| said(&error))?;
    let pool = PgPoolOptions::new().max_connections(12).connect(&database.url).await.map_err(|error| said(&error))?;
    let stop = CancellationToken::new();
    let config = WorkerConfig { name: "echo".into(), queues: vec!["default".into()], concurrency: 64, ..WorkerConfig::default() };
    let working = tokio::spawn(Worker::new(pool.clone(), Kinds::default().with::<Echo>(), config).run(stop.clone()));
    sqlx::query(STORED).execute(&pool).await.map_err(|error| said(&error))?;
    let mut random = stream(seed, Purpose::Inputs, 0);
    let mut judged = Ok(());
    while counts.tried < times && judged.is_ok() {
        let draw = |_| format!("{{\"value\": {}, \"fails\": {}}}", text::json(&mut random), random.random_ratio(1, 4));
        let texts: Vec<String> = (0..WAVE.min(times - counts.tried)).map(draw).collect();
        counts.tried += texts.len() as u64;
        let made = enqueue(&pool, &texts).await?;
        counts.taken += made.len() as u64;
        counts.refused += (texts.len() - made.len()) as u64;
        judged = judge(&pool, &made).await;
    }
    stop.cancel();
    let ended = working.await.map_err(|error| said(&error))?;
    judged?;
    ended.map_err(|error| said(&error))?;
    pool.close().await;
    server.drop_database(&database.name).await.map_err(|error| said(&error))?;
    Ok(())
}

/// The jobs of these arguments, without those that were refused as PostgreSQL itself says they must be.
async fn enqueue(pool: &PgPool, texts: &[String]) -> Result<Vec<(JobId, String)>, String> {
    let sizes: Vec<Option<i32>> = sqlx::query_scalar("select public.stored(u.t) from unnest($1) with ordinality u (t, n) order by u.n")
        .bind(texts)
        .fetch_all(pool)
        .await
        .map_err(|error| error.to_string())?;
    let (mut made, mut together, mut given) = (Vec::new(), Vec::new(), Vec::new());
    for (text, size) in texts.iter().zip(sizes) {
        match job(text) {
            Some(job) if made.len() >= SINGLE && size.is_some() && is_short(text, size) => {
                together.push(job);
                given.push(text.clone());
            }
            Some(job) => made.extend(by_itself(pool, text, size, &job).await?.map(|id| (id, text.clone()))),
            // What is no JSON for this program cannot even be asked for; SQL may know better.
            None if size.is_some() => made.push((by_sql(pool, text).await?, text.clone())),
            None => (),
        }
    }
    let of_many = Client::new(pool.clone()).enqueue_many(&together).await;
    let of_many = of_many.map_err(|error| format!("PostgreSQL takes each of {} values, and together: {error}", together.len()))?;
    if of_many.iter().any(Option::is_none) {
        return Err("a job without a unique key was not made".into());
    }
    made.extend(of_many.into_iter().flatten().zip(given));
    Ok(made)
}

fn job(text: &str) -> Option<NewJob> {
    RawValue::from_string(text.to_owned()).ok().map(|raw| NewJob::raw(Echo::KIND, raw))
}

fn is_short(text: &str, size: Option<i32>) -> bool {
    text.len().max(size.unwrap_or_default() as usize) <= LONGEST
}

/// The job of one value, unless it was refused and must be.
async fn by_itself(pool: &PgPool, text: &str, size: Option<i32>, job: &NewJob) -> Result<Option<JobId>, String> {
    match (Client::new(pool.clone()).enqueue(job).await, size) {
        (Ok(made), Some(_)) => Ok(Some(made.id)),
        (Err(refusal), None) if !refusal.to_string().trim().is_empty() => Ok(None),
        (Err(refusal), Some(_)) if !is_short(text, size) && refusal.to_string().contains("1 MiB") => Ok(None),
        (answer, size) => {
            let answer = answer.map(|made| made.id);
            Err(format!("{text:.200} was answered {answer:?}, and PostgreSQL stores it as {size:?} bytes"))
        }
    }
}

async fn by_sql(pool: &PgPool, args: &str) -> Result<JobId, String> {
    let made = sqlx::query_scalar("select id from engine.enqueue($1, $2::text::jsonb)").bind(Echo::KIND).bind(args).fetch_one(pool).await;
    made.map_err(|error| format!("PostgreSQL takes {args:.200} and the engine does not: {error}"))
}

/// Every job ended, as it must.
async fn judge(pool: &PgPool, made: &[(JobId, String)]) -> Result<(), String> {
    let (ids, given): (Vec<i64>, Vec<&str>) = made.iter().map(|(id, text)| (id.0, text.as_str())).unzip();
    let open = until_none_is_left::<i64, _, _>(PATIENCE, || sqlx::query_scalar(OPEN).bind(&ids).fetch_all(pool)).await;
    let open = open.map_err(|error| error.to_string())?.len();
    if open > 0 {
        return Err(format!("{open} jobs have not run after {PATIENCE:?}"));
    }
    let ended: Vec<Ended> = sqlx::query_as(ENDED).bind(&ids).bind(&given).fetch_all(pool).await.map_err(|error| error.to_string())?;
    if ended.len() != made.len() {
        return Err(format!("{} jobs ended {} times", made.len(), ended.len()));
    }
    for (id, text, fails, is_as_given, outcome, error, output) in ended {
        let right =
            if fails { outcome == "dead" && error.is_some() } else { outcome == "completed" && output == Some(json!(digest(&text))) };
        if !right || !is_as_given {
            return Err(format!("job {id} with the value {text:.200} ended as {outcome}: {error:?}, {output:?}"));
        }
    }
    Ok(())
}
