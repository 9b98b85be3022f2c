//! Limits of keys under kill -9, by what the handlers themselves wrote down, and under a flood of one key.

use std::time::{Duration, Instant};

use engine::{Client, JobId, NewJob};
use sqlx::PgPool;

use crate::support::{
    Database,
    kinds::NoOp,
    ledger,
    process::{WorkerOptions, WorkerProcess},
    wait,
    witness::{self, Span},
};

/// The classes of keys: name, cap, how many keys, and jobs of each. Those of the last are few and long, so that the workers have
/// room for all that their cap allows.
const CLASSES: [(&str, i32, usize, usize); 3] = [("one", 1, 790, 3), ("two", 2, 206, 6), ("ten", 10, 4, 200)];

/// How many jobs of each class ran at once at most, by their own word. A handler whose process was killed ended then.
const OVERLAP: &str = "
    with span as (
        select s.limit_key, s.started_at, coalesce(s.ended_at, k.killed_at, 'infinity') as ended_at
        from test_span s
        left join engine.worker w on w.id = s.worker_id
        left join test_kill k on k.pid = (w.info ->> 'pid')::bigint
    ),
    step as (
        select limit_key, started_at as at, 1 as change from span
        union all
        select limit_key, ended_at, -1 from span
    ),
    running as (
        select limit_key, sum(change) over (partition by limit_key order by at, change rows unbounded preceding) as at_once from step
    )
    select max(at_once) from running where starts_with(limit_key, $1 || ':')";

async fn enqueue_all(pool: &PgPool) -> usize {
    let mut jobs = Vec::new();
    for (class, cap, keys, of_each) in CLASSES {
        sqlx::query("insert into engine.limit_setting (scope, name, cap, changed_by) values ('key', $1 || ':*', $2, 'a test')")
            .bind(class)
            .bind(cap)
            .execute(pool)
            .await
            .expect("the limit is sound");
        for n in 0..of_each * keys {
            let key = format!("{class}:{}", n % keys);
            jobs.push(NewJob::of(&Span { key: key.clone(), ms: 30 }).expect("arguments serialise").limit_key(key));
        }
    }
    for batch in jobs.chunks(500) {
        Client::new(pool.clone()).enqueue_many(batch).await.expect("enqueued");
    }
    jobs.len()
}

/// Kills a worker and writes down when; the time is taken after it is gone, so that no later start can be excused by it.
async fn kill(pool: &PgPool, process: WorkerProcess) {
    let pid = i64::from(process.pid());
    process.kill();
    sqlx::query("insert into test_kill (pid, killed_at) values ($1, clock_timestamp())").bind(pid).execute(pool).await.expect("noted");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_of_a_thousand_runs_more_than_its_cap_while_workers_are_killed() {
    let db = Database::new().await;
    let pool = db.pool();
    witness::make_span_table(pool).await;
    let jobs = enqueue_all(pool).await;
    let options = WorkerOptions::new(db.url()).concurrency(24).lease(Duration::from_millis(500));
    let mut workers = options.start_many(3);
    let begun = Instant::now();
    let mut kills = 0;
    while ledger::outcome(pool, "completed").await < jobs as i64 * 9 / 10 {
        assert!(begun.elapsed() < Duration::from_mins(3), "it takes too long");
        let oldest = workers.remove(0);
        ledger::worker_of(pool, oldest.pid()).await;
        witness::until_more_spans(pool).await;
        kill(pool, oldest).await;
        kills += 1;
        workers.push(options.start());
    }
    ledger::all_ended(pool, Duration::from_mins(2)).await;
    let lost = ledger::outcome(pool, "lost").await;
    println!("{jobs} jobs of 1,000 keys in {:?}, {kills} workers killed, {lost} attempts lost", begun.elapsed());
    assert!(kills >= 5 && lost > 0, "{kills} kills, {lost} lost: nothing was shown");
    for (class, cap, ..) in CLASSES {
        let most: i64 = sqlx::query_scalar(OVERLAP).bind(class).fetch_one(pool).await.expect("spans");
        println!("keys with a cap of {cap}: at most {most} at once");
        let cap = i64::from(cap);
        assert!(most <= cap, "{most} jobs of a key of class {class} ran at once");
        // How near it comes is a matter of the machine; far below it, nothing would be shown.
        assert!(2 * most >= cap, "only {most} jobs of a key of class {class} ever ran at once");
    }
    assert_eq!(ledger::count(pool, "select count(*) from engine.slot").await, 0, "no slot is left");
    assert_eq!(ledger::outcome(pool, "completed").await, jobs as i64);
    ledger::check(pool).await;
}

/// Jobs of one key that were there before all others.
const IN_FRONT: usize = 200_000;
/// How many of them begin before one of another key that came later, at most, 99 times in a hundred: what two workers do in a second
/// on a quiet machine of two cores, where a line without fairness would let all begin. A second by the clock would be the machine's.
const PROMISE: f64 = 10_000.0;

/// How long others waited: the half and 99 of a hundred in seconds, and in jobs of the big key that began meanwhile.
const WAITS: &str = "
    with small as (
        select a.job_id, j.created_at, a.started_at
        from engine.attempt a join engine.job j on j.id = a.job_id where starts_with(j.limit_key, 'small ')
    ),
    moment as (
        select a.started_at as at, 1 as big, null::bigint as job_id
        from engine.attempt a join engine.job j on j.id = a.job_id where j.limit_key = 'the big one'
        union all
        select m.at, 0, s.job_id from small s cross join lateral (values (s.created_at), (s.started_at)) m (at)
    ),
    counted as (
        select job_id, sum(big) over (order by at) as begun from moment
    ),
    passed as (
        select job_id, (max(begun) - min(begun))::float8 as jobs from counted where job_id is not null group by job_id
    )
    select percentile_cont(0.5) within group (order by extract(epoch from s.started_at - s.created_at)::float8),
        percentile_cont(0.99) within group (order by extract(epoch from s.started_at - s.created_at)::float8),
        percentile_cont(0.99) within group (order by p.jobs)
    from small s join passed p using (job_id)";

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_thousand_jobs_of_one_key_keep_no_other_key_waiting() {
    let db = Database::new().await;
    let pool = db.pool();
    let client = Client::new(pool.clone());
    let last = put_in_front(&client, IN_FRONT).await;
    let workers = WorkerOptions::new(db.url()).concurrency(16).start_many(2);
    for process in &workers {
        ledger::worker_of(pool, process.pid()).await;
    }
    let begun = || async { ledger::count(pool, "select count(*) from engine.attempt").await > 1000 };
    wait::until("the big key runs", Duration::from_secs(30), begun).await;
    for round in 0..20 {
        if ledger::count(pool, "select count(*) from engine.waiting").await < IN_FRONT as i64 / 2 {
            put_in_front(&client, IN_FRONT / 4).await;
        }
        let others: Vec<NewJob> =
            (0..99).map(|n| NewJob::of(&NoOp { n }).expect("arguments serialise").limit_key(format!("small {n}"))).collect();
        client.enqueue_many(&others).await.expect("enqueued");
        let all = || async { small_ended_after(pool, last).await == 99 * (round + 1) };
        wait::until_every(Duration::from_millis(50), "the others run", Duration::from_secs(30), all).await;
    }
    let left = ledger::count(pool, "select count(*) from engine.waiting").await;
    assert!(left > 0, "the big key was done before the others, so nothing was shown");
    drop(workers);
    let (p50, p99, passed): (f64, f64, f64) = sqlx::query_as(WAITS).fetch_one(pool).await.expect("percentiles");
    println!(
        "with {left} of {IN_FRONT} jobs of one key in front, 1,980 jobs of 99 other keys began after p50 {p50:.3} s, p99 {p99:.3} s, \
         p99 {passed} jobs of the big key"
    );
    assert!(passed < PROMISE, "{passed} jobs of the big key began before one of another");
}

/// Puts jobs of one key there; the last of them.
async fn put_in_front(client: &Client, jobs: usize) -> JobId {
    let some: Vec<NewJob> = (0..5000).map(|n| NewJob::of(&NoOp { n }).expect("arguments serialise").limit_key("the big one")).collect();
    let mut last = None;
    for _ in 0..jobs / some.len() {
        last = *client.enqueue_many(&some).await.expect("enqueued").last().expect("there are some");
    }
    last.expect("no key is unique")
}

/// How many of the others have ended; all were enqueued after `last`.
async fn small_ended_after(pool: &PgPool, last: JobId) -> i64 {
    sqlx::query_scalar(
        "select count(*) from engine.job j join engine.attempt a on a.job_id = j.id where j.id > $1 and starts_with(j.limit_key, 'small ')",
    )
    .bind(last)
    .fetch_one(pool)
    .await
    .expect("a count")
}
