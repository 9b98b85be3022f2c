//! kill -9 of the server's main process under load: what was acknowledged is there, what was done was done once.

use std::{
    collections::HashSet,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use engine::{Client, JobId, NewJob};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::task::JoinSet;

use crate::support::{
    kinds::{self, Effect},
    ledger,
    private::Private,
    process::WorkerOptions,
    wait,
};

const PRODUCERS: usize = 4;
const JOBS_EACH: usize = 500;
const JOBS: usize = PRODUCERS * JOBS_EACH;
/// For so long the server may be away.
const AWAY: Duration = Duration::from_mins(2);

/// Enqueues its jobs one by one, each until it is acknowledged, and returns what it was told.
async fn produce(url: String, producer: usize, acknowledged: Arc<AtomicUsize>) -> (Vec<JobId>, usize) {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(5)).connect_lazy(&url).expect("the url is one");
    let client = Client::new(pool);
    let (mut ids, unsure) = (Vec::new(), AtomicUsize::new(0));
    for n in 0..JOBS_EACH {
        let job =
            NewJob::of(&Effect { ms: 2 }).expect("arguments serialise").idempotency_key(format!("producer {producer}"), n.to_string());
        let enqueued = OnceLock::new();
        wait::until_every(Duration::from_millis(20), "the job is acknowledged", AWAY, || async {
            let Ok(told) = client.enqueue(&job).await else {
                unsure.fetch_add(1, Ordering::AcqRel);
                return false;
            };
            enqueued.set(told).is_ok()
        })
        .await;
        ids.push(enqueued.into_inner().expect("it was acknowledged").id);
        acknowledged.fetch_add(1, Ordering::AcqRel);
    }
    (ids, unsure.into_inner())
}

/// What fails because the server is away is tried again after a second at most, however often.
async fn be_patient(pool: &PgPool) {
    sqlx::query("update engine.retry_config set backoff_seconds = '{1}', max_attempts = 100")
        .execute(pool)
        .await
        .expect("a policy can be edited");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_under_load_loses_no_acknowledged_job_and_doubles_no_effect() {
    let mut server = Private::start().await;
    kinds::make_effect_table(server.pool()).await;
    be_patient(server.pool()).await;
    let workers = WorkerOptions::new(server.url()).concurrency(8).start_many(3);
    for process in &workers {
        ledger::worker_of(server.pool(), process.pid()).await;
    }
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let mut producers = JoinSet::new();
    for producer in 0..PRODUCERS {
        producers.spawn(produce(server.url().to_string(), producer, acknowledged.clone()));
    }
    let mut recoveries = Vec::new();
    for crash in 1..=3 {
        let enough = || async { acknowledged.load(Ordering::Acquire) >= crash * JOBS / 4 };
        wait::until("the producers get on", Duration::from_mins(1), enough).await;
        recoveries.push(server.crash().await);
    }
    ledger::spread("from the kill of the server to its first answer", &recoveries);

    let (mut told, mut unsure) = (Vec::new(), 0);
    while let Some(produced) = producers.join_next().await {
        let (ids, retries) = produced.expect("a producer does not panic");
        told.extend(ids);
        unsure += retries;
    }
    ledger::all_ended(server.pool(), Duration::from_mins(1)).await;
    drop(workers);
    println!("{JOBS} jobs acknowledged, {unsure} enqueues tried again, attempts: {:?}", ledger::outcomes(server.pool()).await);
    assert_eq!(told.iter().collect::<HashSet<_>>().len(), JOBS, "each key has a job of its own");
    check_effects(server.pool(), &told).await;
    ledger::check(server.pool()).await;
}

async fn check_effects(pool: &PgPool, told: &[JobId]) {
    let found: i64 =
        sqlx::query_scalar("select count(*) from engine.job where id = any ($1)").bind(told).fetch_one(pool).await.expect("a count");
    assert_eq!(found, JOBS as i64, "every acknowledged job exists");
    assert_eq!(ledger::count(pool, "select count(*) from engine.job").await, JOBS as i64, "and no other");
    assert_eq!(ledger::outcome(pool, "completed").await, JOBS as i64);
    let wrong: Vec<(JobId, i64)> = sqlx::query_as(
        "select j.id, count(e.job_id) from engine.job j left join test_effect e on e.job_id = j.id group by j.id having count(e.job_id) <> 1",
    )
    .fetch_all(pool)
    .await
    .expect("effects can be counted");
    assert!(wrong.is_empty(), "jobs and how many effects they had, which should be one each: {wrong:?}");
}
