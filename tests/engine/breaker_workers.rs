//! Circuit breakers with real workers: an outage burns few attempts, one job at a time finds out, and all is done in the end.

use std::time::Duration;

use engine::{
    Client, NewJob, WorkerConfig,
    store::breaker::{self, Rule},
};
use sqlx::PgPool;

use super::jobs::{Running, of};
use crate::support::{
    Database, kinds, ledger,
    outside_call::{Call, CallAndWait, NoCall, SYSTEM, answer, make_system},
    wait,
};

const LIMIT: Duration = Duration::from_secs(30);

fn workers(pool: &PgPool, count: usize) -> Vec<Running> {
    let config = || WorkerConfig { concurrency: 8, ..WorkerConfig::default() };
    (0..count).map(|_| Running::with(pool, kinds::kinds(), config())).collect()
}

async fn known(pool: &PgPool, cooldown_ms: i32) {
    let mut connection = pool.acquire().await.expect("a connection");
    breaker::declare(&mut connection, &[("test.call", Some(SYSTEM))]).await.expect("declared");
    let rule = Rule { cooldown_ms: Some(cooldown_ms), cooldown_most_ms: Some(cooldown_ms), ..Rule::default() };
    assert!(breaker::set(pool, SYSTEM, &rule, "a test").await.expect("set"));
}

async fn enqueue(pool: &PgPool, jobs: usize, ms: u64) {
    let jobs: Vec<NewJob> = (0..jobs).map(|_| of(&Call { ms })).collect();
    Client::new(pool.clone()).enqueue_many(&jobs).await.expect("enqueued");
}

async fn until_state(pool: &PgPool, state: &str) {
    let now = || async { breaker::list(pool).await.expect("listed")[0].state == state };
    wait::until(&format!("the breaker is {state}"), LIMIT, now).await;
}

/// A count of calls after the one of this number.
async fn of_those_after(pool: &PgPool, number: i64, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).bind(number).fetch_one(pool).await.expect("a count")
}

/// How many of the last four calls began a while after the one before had ended.
const ONE_BY_ONE: &str = "
    select count(*) from (
        select started_at - lag(ended_at) over (order by n) as pause from test_call order by n desc limit 4
    ) last where pause > interval '300 ms'";

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_burns_few_attempts_and_one_job_at_a_time_finds_out_that_it_is_over() {
    let db = Database::new().await;
    let pool = db.pool();
    make_system(pool).await;
    known(pool, 600).await;
    answer(pool, Some("upstream"), None).await;
    enqueue(pool, 2000, 20).await;
    let workers = workers(pool, 3);
    until_state(pool, "open").await;
    // Then each worker has seen it, and what was begun has ended.
    wait::until("calls come one by one", LIMIT, || async { ledger::count(pool, ONE_BY_ONE).await == 4 }).await;
    let burnt = ledger::count(pool, "select max(n) from test_call").await;
    assert!(burnt < 120, "{burnt} attempts were burnt before all three workers had seen it");
    let probes = || async { of_those_after(pool, burnt, "select count(*) from test_call where n > $1 and ended_at is not null").await };
    wait::until("four probes more fail", LIMIT, || async { probes().await >= 4 }).await;
    answer(pool, None, None).await;
    ledger::all_ended(pool, LIMIT).await;
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(ledger::outcome(pool, "completed").await, 2000);
    let overlaps = of_those_after(
        pool,
        burnt,
        "select count(*) from test_call a join test_call b on a.n < b.n and b.started_at < a.ended_at
         where a.category is not null and a.n > $1",
    );
    assert_eq!(overlaps.await, 0, "two jobs were on their way at once");
    let in_vain = ledger::outcome(pool, "failed").await;
    println!("2,000 jobs of three workers: {burnt} attempts before the breaker was seen open, {in_vain} failed in all");
    ledger::check(pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stays_away_for_as_long_as_the_other_side_asked() {
    let db = Database::new().await;
    let pool = db.pool();
    make_system(pool).await;
    known(pool, 100).await;
    answer(pool, Some("rate_limited"), Some(2000)).await;
    enqueue(pool, 40, 0).await;
    let workers = workers(pool, 1);
    until_state(pool, "open").await;
    answer(pool, None, None).await;
    ledger::all_ended(pool, LIMIT).await;
    for worker in workers {
        worker.stop().await;
    }
    let pause: f64 = sqlx::query_scalar(
        // A call that had begun before the last refusal may have heard the new answer.
        "select extract(epoch from min(c.started_at) - r.last)::float8
         from test_call c, (select max(ended_at) as last from test_call where category is not null) r
         where c.started_at > r.last group by r.last",
    )
    .fetch_one(pool)
    .await
    .expect("calls");
    assert!((1.8..6.0).contains(&pause), "{pause} s");
    ledger::check(pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_calls_and_then_waits_finds_out_that_the_system_answers() {
    let db = Database::new().await;
    let pool = db.pool();
    make_system(pool).await;
    known(pool, 100).await;
    answer(pool, Some("network"), None).await;
    let jobs: Vec<NewJob> = (0..20).map(|_| of(&CallAndWait {})).collect();
    Client::new(pool.clone()).enqueue_many(&jobs).await.expect("enqueued");
    let worker = Running::with(pool, kinds::kinds().with::<CallAndWait>(), WorkerConfig::default());
    until_state(pool, "open").await;
    answer(pool, None, None).await;
    until_state(pool, "closed").await;
    let parked = "select count(*) from engine.parked";
    wait::until("all of them wait", LIMIT, || async { ledger::count(pool, parked).await == 20 }).await;
    worker.stop().await;
    assert_eq!(ledger::outcome(pool, "completed").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_make_no_call_leave_a_breaker_as_it_is_and_keep_no_other_from_finding_out() {
    let db = Database::new().await;
    let pool = db.pool();
    make_system(pool).await;
    known(pool, 100).await;
    let down = breaker::Ends { system: SYSTEM, category: Some("network"), ended: 10, wait_ms: None, error: None };
    let mut connection = pool.acquire().await.expect("a connection");
    let opened = breaker::report(&mut connection, &[down], &[], 1.0).await.expect("told").expect("nobody else decides");
    assert_eq!(opened.len(), 1);
    let jobs: Vec<NewJob> = (0..40).map(|n| of(&NoCall { snoozes: n % 2 == 0 })).collect();
    Client::new(pool.clone()).enqueue_many(&jobs).await.expect("enqueued");
    let worker = Running::with(pool, kinds::kinds().with::<NoCall>(), WorkerConfig::default());
    let asleep = "select count(*) from engine.scheduled";
    let had_turns = || async { ledger::outcome(pool, "completed").await == 20 && ledger::count(pool, asleep).await == 20 };
    let took = wait::until("each had its turn", Duration::from_mins(1), had_turns).await;
    assert!(took < Duration::from_secs(20), "{took:?}: a second each would be forty");
    until_state(pool, "open").await;
    assert_eq!(breaker::list(pool).await.expect("listed")[0].openings, 1, "they say nothing of the system");
    enqueue(pool, 1, 0).await;
    until_state(pool, "closed").await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_and_bugs_hold_nothing() {
    let db = Database::new().await;
    let pool = db.pool();
    make_system(pool).await;
    sqlx::query("update engine.retry_config set max_attempts = 1").execute(pool).await.expect("the policy is data");
    known(pool, 100).await;
    answer(pool, Some("validation"), None).await;
    enqueue(pool, 100, 0).await;
    let workers = workers(pool, 2);
    ledger::all_ended(pool, LIMIT).await;
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(ledger::outcome(pool, "dead").await, 100, "each is tried once");
    assert_eq!(breaker::list(pool).await.expect("listed")[0].openings, 0);
}
