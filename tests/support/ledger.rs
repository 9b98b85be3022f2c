//! What must hold of every job, whatever happened to the workers and the server: the oracle of the fault tests.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use engine::store::doctor::{self, Severity};
use sqlx::PgPool;

use super::wait;

/// Each selects what must not exist: the job and what is wrong with it.
const MUST_BE_EMPTY: [(&str, &str); 8] = [
    ("a job stands nowhere and has not ended", "select id, 'kind ' || kind from engine.job_state where state = 'missing'"),
    (
        "a job has ended more than once",
        "select job_id, string_agg(outcome, ' ' order by attempt) from engine.attempt
         where outcome in ('completed', 'cancelled', 'dead') group by job_id having count(*) > 1",
    ),
    (
        "a job went on after its end",
        "select a.job_id, 'attempt ' || b.attempt from engine.attempt a join engine.attempt b on b.job_id = a.job_id and b.attempt > a.attempt
         where a.outcome in ('completed', 'cancelled', 'dead')",
    ),
    (
        "a job ended and still stands somewhere",
        "select a.job_id, p.place from engine.attempt a join
         (select job_id, 'ready' as place from engine.ready union all select job_id, 'scheduled' from engine.scheduled
          union all select job_id, 'parked' from engine.parked) p on p.job_id = a.job_id
         where a.outcome in ('completed', 'cancelled', 'dead')",
    ),
    (
        "the attempts of a job have gaps",
        "select job_id, min(attempt) || '..' || max(attempt) || ' in ' || count(*) from engine.attempt
         group by job_id having min(attempt) <> 1 or max(attempt) <> count(*)",
    ),
    ("an attempt belongs to no job", "select job_id, outcome from engine.attempt where job_id not in (select id from engine.job)"),
    (
        "a dead job has no letter, or a letter no dead job",
        "select coalesce(a.job_id, d.job_id, 0), coalesce(a.outcome, 'no') || ' job, letter ' || coalesce(d.id::text, 'none')
         from (select * from engine.attempt where outcome = 'dead') a
         full join engine.dead_letter_queue d on d.job_id = a.job_id where a.job_id is null or d.job_id is null",
    ),
    (
        "an ended job holds a unique key",
        "select u.job_id, u.key from engine.unique_key u join engine.attempt a on a.job_id = u.job_id
         where a.outcome in ('completed', 'cancelled', 'dead')",
    ),
];

/// Where jobs stand that have not ended, one line a place.
const OPEN: &str = "
    select 'ready' || case when count(*) > 1 then ' and others' else '' end || ', first job ' || min(job_id) from engine.ready having count(*) > 0
    union all select 'waiting, first job ' || min(job_id) from engine.waiting having count(*) > 0
    union all select 'parked, first job ' || min(job_id) || ', ' || count(*) || ' in all' from engine.parked having count(*) > 0
    union all select 'scheduled, first job ' || min(job_id) || ', next at ' || min(run_at) from engine.scheduled having count(*) > 0
    union all select format('claim %s of worker %s (dead at %s, lease until %s), claimed at %s: %s jobs, first %s', c.id, c.worker_id, w.dead_at,
        w.lease_until, c.claimed_at, count(*), min(u.id))
    from engine.claim c cross join unnest(c.ids, c.attempts) u (id, n) left join engine.worker w on w.id = c.worker_id
    where not exists (select from engine.attempt a where a.job_id = u.id and a.attempt = u.n)
    group by c.id, c.worker_id, c.claimed_at, w.dead_at, w.lease_until";

/// Waits until every job has ended.
pub async fn all_ended(pool: &PgPool, limit: Duration) -> Duration {
    let open = || async { sqlx::query_scalar::<_, String>(OPEN).fetch_all(pool).await.expect("the test's database answers") };
    wait::until_none_is_left(Duration::from_millis(50), "all jobs have ended", limit, open).await
}

/// Fails unless the ledger keeps all its promises. Jobs may still stand in `ready` or `scheduled`; none may run.
pub async fn check(pool: &PgPool) {
    for (fault, sql) in MUST_BE_EMPTY {
        let found: Vec<(i64, Option<String>)> =
            sqlx::query_as(sql).fetch_all(pool).await.unwrap_or_else(|error| panic!("{fault}: {error}"));
        assert!(found.is_empty(), "{fault}: {} times, first {:?}", found.len(), &found[..found.len().min(5)]);
    }
    let faults =
        doctor::examine(pool).await.expect("the doctor can look").into_iter().filter(|finding| finding.severity == Severity::Fault);
    let faults: Vec<_> = faults.map(|finding| (finding.check, finding.job_id, finding.detail)).collect();
    assert!(faults.is_empty(), "the doctor finds {faults:#?}");
    // A finish leaves a claim that was locked at that moment to the housekeeping, which is called here.
    let mut connection = pool.acquire().await.expect("the test's database answers");
    engine::store::claim::close_finished(&mut connection, 0).await.expect("claims can be closed");
    let left: i64 = count(pool, "select count(*) from engine.claim").await;
    assert_eq!(left, 0, "claims are left over");
}

/// How many attempts ended with each outcome.
pub async fn outcomes(pool: &PgPool) -> BTreeMap<String, i64> {
    let rows: Vec<(String, i64)> = sqlx::query_as("select outcome, count(*) from engine.attempt group by outcome")
        .fetch_all(pool)
        .await
        .expect("the ledger can be read");
    rows.into_iter().collect()
}

/// How many attempts ended with this outcome.
pub async fn outcome(pool: &PgPool, name: &str) -> i64 {
    outcomes(pool).await.get(name).copied().unwrap_or(0)
}

/// How many attempts of one worker, in that life of it, ended with this outcome.
pub async fn outcome_of(pool: &PgPool, worker: i64, name: &str) -> i64 {
    sqlx::query_scalar("select count(*) from engine.attempt where worker_id = $1 and outcome = $2")
        .bind(worker)
        .bind(name)
        .fetch_one(pool)
        .await
        .expect("the ledger can be read")
}

/// The answer to a question for a number.
pub async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// The database's clock, by which the ledger tells time.
pub async fn now(pool: &PgPool) -> DateTime<Utc> {
    sqlx::query_scalar("select engine.now()").fetch_one(pool).await.expect("the test's database answers")
}

/// The worker that a process is in its present life; waits until it has registered.
pub async fn worker_of(pool: &PgPool, pid: u32) -> i64 {
    let find = || async {
        sqlx::query_scalar("select max(id) from engine.worker where (info ->> 'pid')::bigint = $1 and dead_at is null")
            .bind(i64::from(pid))
            .fetch_one(pool)
            .await
            .unwrap_or(None::<i64>)
    };
    wait::until("the worker registers", Duration::from_secs(20), || async { find().await.is_some() }).await;
    find().await.expect("it was there a moment ago")
}

/// How many jobs a worker holds.
pub async fn held_by(pool: &PgPool, worker: i64) -> i64 {
    sqlx::query_scalar(
        "select count(*) from engine.claim c, unnest(c.ids, c.attempts) u (id, n)
         where c.worker_id = $1 and not exists (select from engine.attempt a where a.job_id = u.id and a.attempt = u.n)",
    )
    .bind(worker)
    .fetch_one(pool)
    .await
    .expect("claims can be counted")
}

/// From `since` to the start of the attempt that followed each attempt which this worker lost or released.
pub async fn picked_up_after(pool: &PgPool, worker: i64, since: DateTime<Utc>) -> Vec<Duration> {
    let starts: Vec<DateTime<Utc>> = sqlx::query_scalar(
        "select b.started_at from engine.attempt a join engine.attempt b on b.job_id = a.job_id and b.attempt = a.attempt + 1
         where a.worker_id = $1 and a.outcome in ('lost', 'released')",
    )
    .bind(worker)
    .fetch_all(pool)
    .await
    .expect("the ledger can be read");
    starts.into_iter().map(|at| (at - since).to_std().unwrap_or_default()).collect()
}

/// Prints the middle and the longest of some times, and returns the longest.
pub fn spread(what: &str, times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let longest = *sorted.last().unwrap_or_else(|| panic!("nothing was measured: {what}"));
    println!("{what}: {} times, p50 {:?}, max {longest:?}", sorted.len(), sorted[sorted.len() / 2]);
    longest
}
