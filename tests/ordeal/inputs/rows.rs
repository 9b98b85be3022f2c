//! Rows as somebody leaves them who edits the engine's tables by hand: twice, of no job, of no lane, of another attempt, at the
//! ends of their types. Whatever becomes of the jobs that they were about, all others run, retry and are rescued as ever.

use std::{sync::Arc, time::Duration};

use engine::{Client, Job, JobId, JobResult, Kinds, NewJob, Outcome, Run, Worker, WorkerConfig};
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};
use tokio_util::sync::CancellationToken;

use super::{Counts, Wrong, text};
use crate::{
    chance::{Purpose, stream},
    server::Server,
    wait::until_none_is_left,
};

/// How many are planted before the others are looked at.
const ROUND: u64 = 100;
/// How long the others may take, on a machine under load.
const PATIENCE: Duration = Duration::from_secs(30);
/// Which of these jobs have not run well.
const OPEN: &str = "select u.id from unnest($1::bigint[]) u (id)
    where not exists (select from engine.attempt a where a.job_id = u.id and a.outcome = 'completed')";
/// Short, because some of the others are rescued.
const LEASE: Duration = Duration::from_secs(2);

/// What an owner may write; `{v}` is a job that is ready, the rest is drawn.
const EDITS: [&str; 30] = [
    "insert into engine.ready (lane_id, attempt, position, job_id) values ({l}, {n}, nextval('engine.position'), {j})",
    "insert into engine.ready (lane_id, attempt, position, job_id) values ({l}, {n}, {p}, {j})",
    "update engine.ready set attempt = {n} where job_id = {v}",
    "update engine.ready set lane_id = {l} where job_id = {v}",
    "update engine.ready set position = {p} where job_id = {v}",
    "delete from engine.ready where job_id = {v}",
    "insert into engine.scheduled (run_at, job_id, lane_id, attempt, alone, keyed) values ({t}, {j}, {l}, {n}, {b}, {b})",
    "with gone as (delete from engine.ready where job_id = {v} returning lane_id)
     insert into engine.scheduled (run_at, job_id, lane_id, attempt, alone, keyed) select {t}, {v}, lane_id, {n}, {b}, {b} from gone",
    "insert into engine.waiting (position, job_id, lane_id, attempt, limit_key) values (nextval('engine.position'), {j}, {l}, {n}, {k})",
    "insert into engine.waiting (position, job_id, lane_id, attempt, limit_key) values ({p}, {j}, {l}, {n}, {k})",
    "insert into engine.slot (limit_key, n, job_id, charged) values ({k}, {n}, {j}, {b})",
    "update engine.job set max_attempts = {n} where id = {v}",
    "update engine.job set deadline = {t} where id = {v}",
    "update engine.job set limit_key = {k}, unique_key = {k} where id = {v}",
    "update engine.job set parent_id = {j}, trace_parent = {k} where id = {v}",
    "update engine.job set args = {a} where id = {v}",
    "update engine.job set lane_id = {l}, created_at = {t} where id = {v}",
    "delete from engine.job where id = {v}",
    "insert into engine.unique_key (kind, key, job_id, since) values ('ordeal.sound', {k}, {j}, {t})",
    "insert into engine.claim (worker_id, ids, attempts, alone, in_runs, claimed_at) values ({w}, array[{j}, {v}], array[{n}]::integer[], {b}, {b}, {t})",
    "insert into engine.claim (worker_id, ids, attempts, alone, in_runs) values ({w}, array[{j}, null], array[{n}, {n}]::integer[], {b}, {b})",
    "insert into engine.claim (worker_id, ids, attempts) values ({w}, array[]::bigint[], array[]::integer[])",
    "insert into engine.parked (job_id, lane_id, attempt, waits_for, children, parked_at, wake_at)
     values ({j}, {l}, {n}, 'children', array[{n}, null], {t}, {t})",
    "insert into engine.attempt (job_id, attempt, started_at, finished_at, outcome) values ({j}, {n}, {t}, {t}, 'completed')",
    "insert into engine.attempt (job_id, attempt, started_at, finished_at, outcome, category) values ({j}, 1, {t}, {t}, 'lost', {k})",
    "insert into engine.cancel_request (job_id, requested_by, requested_at, reason) values ({j}, {k}, {t}, {k})",
    "insert into engine.worker (name, lease_until, started_at, info) values ({k}, {t}, {t}, {a})",
    "insert into engine.permit (claim_id, setting_id, jobs) values ({j}, {n}, {n})",
    "insert into engine.pace (limit_key, free_at) values ({k}, {t})",
    "insert into engine.lane (queue, kind, priority) values ('default', {k}, 5)",
];
const TIMES: [&str; 6] = ["infinity", "-infinity", "4713-01-01 00:00:00 BC", "294276-12-31 23:59:59", "1970-01-01", "now"];
const NUMBERS: [&str; 9] = ["1", "2", "0", "-1", "100", "32767", "2147483647", "-2147483648", "null"];
const PLACES: [&str; 6] = ["0", "-1", "1", "9223372036854775807", "-9223372036854775808", "2147483648"];

/// A job that has nothing to do with any of it.
#[derive(Debug, Serialize, Deserialize)]
struct Sound {
    n: u64,
}

impl Job for Sound {
    const KIND: &'static str = "ordeal.sound";

    async fn run(&self, _: &mut Run) -> JobResult {
        Ok(Outcome::done())
    }
}

/// Plants so many.
///
/// # Errors
/// The edits after which a job that they were not about did not run, or the worker ended.
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
    let config = WorkerConfig { name: "sound".into(), queues: vec!["default".into()], lease: LEASE, ..WorkerConfig::default() };
    let working = tokio::spawn(Worker::new(pool.clone(), Kinds::default().with::<Sound>(), config).run(stop.clone()));
    let mut random = stream(seed, Purpose::Inputs, 3);
    let mut judged = Ok(());
    while counts.tried < times && judged.is_ok() && !working.is_finished() {
        let mut edits = Vec::new();
        for _ in 0..ROUND.min(times - counts.tried) {
            counts.tried += 1;
            match plant(&pool, &mut random).await? {
                Some(edit) => edits.push(edit),
                None => counts.refused += 1,
            }
        }
        counts.taken += edits.len() as u64;
        judged = judge(&pool, counts.tried).await.map_err(|wrong| format!("{wrong}, after\n{}", edits.join("\n")));
    }
    stop.cancel();
    let ended = working.await.map_err(|error| said(&error))?;
    judged?;
    ended.map_err(|error| said(&error))?;
    let findings = engine::store::doctor::examine(&pool).await.map_err(|error| format!("the doctor cannot look: {error}"))?;
    if findings.is_empty() {
        return Err("the doctor finds nothing wrong with all this".into());
    }
    pool.close().await;
    server.drop_database(&database.name).await.map_err(|error| said(&error))?;
    Ok(())
}

/// Makes a job and an edit in one transaction; none when the tables refuse the edit.
async fn plant(pool: &PgPool, random: &mut StdRng) -> Result<Option<String>, String> {
    let mut tx = pool.begin().await.map_err(|error| error.to_string())?;
    let made = NewJob::of(&Sound { n: 0 }).map_err(|error| error.to_string())?;
    let victim = engine::enqueue_in(&mut tx, &made).await.map_err(|error| format!("a job is refused: {error}"))?.id;
    let edit = edit(random, victim);
    // The text is this module's own, put together from quoted literals.
    if sqlx::raw_sql(AssertSqlSafe(edit.clone())).execute(&mut *tx).await.is_err() {
        return Ok(None);
    }
    Ok(tx.commit().await.ok().map(|()| edit))
}

fn edit(random: &mut StdRng, victim: JobId) -> String {
    let mut edit = EDITS.choose(random).copied().unwrap_or_default().to_owned();
    for sign in ["{v}", "{j}", "{l}", "{n}", "{p}", "{t}", "{b}", "{k}", "{a}", "{w}"] {
        while edit.contains(sign) {
            edit = edit.replacen(sign, &drawn(random, sign, victim), 1);
        }
    }
    edit
}

fn drawn(random: &mut StdRng, sign: &str, victim: JobId) -> String {
    let one = |random: &mut StdRng, choices: &[&str]| choices.choose(random).copied().unwrap_or_default().to_owned();
    match sign {
        "{v}" => victim.to_string(),
        "{j}" if random.random_ratio(1, 2) => victim.to_string(),
        "{j}" => (9_000_000_000_000_000 + random.random_range(0..1_000_000_i64)).to_string(),
        "{l}" if random.random_ratio(2, 3) => "(select id from engine.lane where kind = 'ordeal.sound' limit 1)".into(),
        "{l}" | "{n}" => one(random, &NUMBERS),
        "{t}" => format!("'{}'::timestamptz", one(random, &TIMES)),
        "{b}" => one(random, &["true", "false"]),
        "{w}" if random.random_ratio(1, 2) => "coalesce((select max(id) from engine.worker), 1)".into(),
        "{p}" | "{w}" => one(random, &PLACES),
        "{a}" => "'[1e400]'::jsonb".into(),
        _ => format!("'{}'", text::string(random).replace('\0', "").replace('\'', "''").replace(['{', '}'], "")),
    }
}

/// Whether jobs that were never edited run: at once, later, by turns of a key, and after their worker has died.
async fn judge(pool: &PgPool, n: u64) -> Result<(), String> {
    let sound = || NewJob::of(&Sound { n }).map_err(|error| error.to_string());
    let soon = chrono::Utc::now() + chrono::TimeDelta::milliseconds(200);
    let mut jobs = vec![sound()?; 10];
    for _ in 0..5 {
        jobs.push(sound()?.run_at(soon));
        jobs.push(sound()?.limit_key(format!("sound:{n}")));
        jobs.push(sound()?.unique_key(format!("sound:{n}:{}", jobs.len())));
    }
    let made = Client::new(pool.clone()).enqueue_many(&jobs).await.map_err(|error| format!("jobs are refused: {error}"))?;
    let mut ids: Vec<i64> = made.iter().flatten().map(|id| id.0).collect();
    ids.extend(orphans(pool, &sound()?).await?);
    let open = until_none_is_left::<i64, _, _>(PATIENCE, || sqlx::query_scalar(OPEN).bind(&ids).fetch_all(pool)).await;
    let open = open.map_err(|error| error.to_string())?;
    if open.is_empty() {
        return Ok(());
    }
    let states: Vec<String> = sqlx::query_scalar("select state || ' ' || id from engine.job_state where id = any ($1)")
        .bind(&open)
        .fetch_all(pool)
        .await
        .map_err(|error| error.to_string())?;
    Err(format!("{} of {} sound jobs have not run after {PATIENCE:?}: {states:?}", open.len(), ids.len()))
}

/// Jobs of a worker whose lease has run out.
async fn orphans(pool: &PgPool, job: &NewJob) -> Result<Vec<i64>, String> {
    let mut tx = pool.begin().await.map_err(|error| error.to_string())?;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(engine::enqueue_in(&mut tx, job).await.map_err(|error| error.to_string())?.id.0);
    }
    sqlx::query(
        "with taken as (delete from engine.ready where job_id = any ($1)),
              gone as (insert into engine.worker (name, lease_until) values ('gone', engine.now() - interval '1 minute') returning id)
         insert into engine.claim (worker_id, ids, attempts) select id, $1, array[1, 1, 1] from gone",
    )
    .bind(&ids)
    .execute(&mut *tx)
    .await
    .map_err(|error| error.to_string())?;
    tx.commit().await.map_err(|error| error.to_string())?;
    Ok(ids)
}
