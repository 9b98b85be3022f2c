//! Arguments there and back: what PostgreSQL takes as JSON comes to a handler byte for byte as the database has it, and
//! what it does not take is refused with a reason; a failure can be recorded whatever its words are; and no strange
//! neighbour holds up a job.

use std::{fmt::Write, sync::Arc, time::Duration};

use engine::{Client, Failure, Job, JobId, JobResult, Kinds, NewJob, Outcome, Run, Worker, WorkerConfig};
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
const WAVE: u64 = 400;
/// How long a wave may take, on a machine under load.
const PATIENCE: Duration = Duration::from_mins(3);
/// Which of these jobs have not ended.
const OPEN: &str = "select u.id from unnest($1::bigint[]) u (id) where not exists (select from engine.attempt a where a.job_id = u.id)";

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
    let config = WorkerConfig { name: "echo".into(), queues: vec!["default".into()], concurrency: 16, ..WorkerConfig::default() };
    let working = tokio::spawn(Worker::new(pool.clone(), Kinds::default().with::<Echo>(), config).run(stop.clone()));
    let mut random = stream(seed, Purpose::Inputs, 0);
    let mut judged = Ok(());
    while counts.tried < times && judged.is_ok() {
        let mut made = Vec::new();
        for _ in 0..WAVE.min(times - counts.tried) {
            let text = text::json(&mut random);
            let fails = rand::RngExt::random_ratio(&mut random, 1, 4);
            counts.tried += 1;
            match enqueue(&pool, &text, fails).await? {
                Some(id) => made.push((id, fails)),
                None => counts.refused += 1,
            }
        }
        judged = judge(&pool, &made).await;
        counts.taken += made.len() as u64;
    }
    stop.cancel();
    let ended = working.await.map_err(|error| said(&error))?;
    judged?;
    ended.map_err(|error| said(&error))?;
    pool.close().await;
    server.drop_database(&database.name).await.map_err(|error| said(&error))?;
    Ok(())
}

/// The job of a value; none when it was refused, as PostgreSQL itself says it must be.
async fn enqueue(pool: &PgPool, text: &str, fails: bool) -> Result<Option<JobId>, String> {
    let args = format!("{{\"value\": {text}, \"fails\": {fails}}}");
    let shown = || text.chars().take(200).collect::<String>();
    let takes = sqlx::query_scalar::<_, i32>("select octet_length($1::text::jsonb::text)").bind(&args).fetch_one(pool).await;
    let Ok(raw) = RawValue::from_string(args.clone()) else {
        // What is no JSON for this program cannot even be asked for; SQL may know better.
        return if takes.is_ok() { by_sql(pool, &args).await.map(Some) } else { Ok(None) };
    };
    let enqueued = Client::new(pool.clone()).enqueue(&NewJob::raw(Echo::KIND, raw)).await;
    match (enqueued, takes) {
        (Ok(made), Ok(_)) => Ok(Some(made.id)),
        (Err(refusal), Err(_)) if !refusal.to_string().trim().is_empty() => Ok(None),
        // Larger than arguments may be, as it was written or as it is stored.
        (Err(refusal), Ok(size)) if args.len().max(size as usize) > 1 << 20 && refusal.to_string().contains("1 MiB") => Ok(None),
        (answer, takes) => Err(format!("{:?} was answered {:?}, and PostgreSQL says {takes:?}", shown(), answer.map(|made| made.id))),
    }
}

async fn by_sql(pool: &PgPool, args: &str) -> Result<JobId, String> {
    let made = sqlx::query_scalar("select id from engine.enqueue($1, $2::text::jsonb)").bind(Echo::KIND).bind(args).fetch_one(pool).await;
    made.map_err(|error| format!("PostgreSQL takes {:?} and the engine does not: {error}", args.chars().take(200).collect::<String>()))
}

/// Every job ended, as it must.
async fn judge(pool: &PgPool, made: &[(JobId, bool)]) -> Result<(), String> {
    let ids: Vec<i64> = made.iter().map(|(id, _)| id.0).collect();
    let open = until_none_is_left::<i64, _, _>(PATIENCE, || sqlx::query_scalar(OPEN).bind(&ids).fetch_all(pool)).await;
    let open = open.map_err(|error| error.to_string())?.len();
    if open > 0 {
        return Err(format!("{open} jobs have not run after {PATIENCE:?}"));
    }
    for (id, fails) in made {
        let (text, outcome, error, output): (String, String, Option<String>, Option<serde_json::Value>) = sqlx::query_as(
            "select (j.args -> 'value')::text, a.outcome, a.error, a.output from engine.job j join engine.attempt a on a.job_id = j.id
             where j.id = $1",
        )
        .bind(id)
        .fetch_one(pool)
        .await
        .map_err(|error| error.to_string())?;
        let right =
            if *fails { outcome == "dead" && error.is_some() } else { outcome == "completed" && output == Some(json!(digest(&text))) };
        if !right {
            return Err(format!("job {id} with the value {text:.200} ended as {outcome}: {error:?}, {output:?}"));
        }
    }
    Ok(())
}
