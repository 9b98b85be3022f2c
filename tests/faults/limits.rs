//! Limits of keys under kill -9: what the handlers themselves wrote down never overlaps more than the cap allows.

use std::time::{Duration, Instant};

use engine::{Client, NewJob};
use sqlx::PgPool;

use crate::support::{
    Database, ledger,
    process::{WorkerOptions, WorkerProcess},
    witness::{self, Span},
};

/// The classes of keys: name, cap, how many keys, and jobs of each.
const CLASSES: [(&str, i32, usize, usize); 3] = [("one", 1, 780, 3), ("two", 2, 200, 6), ("ten", 10, 20, 40)];

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
        assert!((1..=i64::from(cap)).contains(&most), "{most} jobs of a key of class {class} ran at once");
    }
    assert_eq!(ledger::count(pool, "select count(*) from engine.slot").await, 0, "no slot is left");
    assert_eq!(ledger::outcome(pool, "completed").await, jobs as i64);
    ledger::check(pool).await;
}
