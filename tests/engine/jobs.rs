//! What a job can do: be enqueued, run, fail, be retried, die, come back, be cancelled.

use std::time::Duration;

use engine::{
    Client, Job, JobId, Kinds, NewJob, Worker, WorkerConfig,
    store::{cancel_request, dead_letter},
};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::support::{
    Database,
    kinds::{self, Fail, NoOp, Panic, Sleep, Snooze},
    wait,
};

/// A worker of the test kinds in this process; drained when dropped by `stop`.
pub struct Running {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), engine::WorkerError>>,
}

impl Running {
    pub fn start(pool: &PgPool, concurrency: usize) -> Self {
        Self::with(pool, kinds::kinds(), WorkerConfig { concurrency, ..WorkerConfig::default() })
    }

    /// A worker of other kinds, or told otherwise.
    pub fn with(pool: &PgPool, kinds: Kinds, config: WorkerConfig) -> Self {
        let config = WorkerConfig { queues: vec!["default".into()], ..config };
        let stop = CancellationToken::new();
        Self { task: tokio::spawn(Worker::new(pool.clone(), kinds, config).run(stop.clone())), stop }
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("a worker does not panic").expect("a worker ends in good order");
    }
}

pub async fn state_of(pool: &PgPool, id: JobId) -> String {
    sqlx::query_scalar("select state from engine.job_state where id = $1").bind(id).fetch_one(pool).await.expect("the job is there")
}

pub async fn until_state(pool: &PgPool, id: JobId, state: &str) {
    wait::until(&format!("job {id} becomes {state}"), Duration::from_secs(20), || async { state_of(pool, id).await == state }).await;
}

pub fn of<J: Job>(job: &J) -> NewJob {
    NewJob::of(job).expect("test arguments serialise")
}

pub async fn outcomes(pool: &PgPool, id: JobId) -> Vec<String> {
    sqlx::query_scalar("select outcome from engine.attempt where job_id = $1 order by attempt")
        .bind(id)
        .fetch_all(pool)
        .await
        .expect("attempts can be read")
}

#[tokio::test]
async fn a_job_runs_once_and_its_output_is_kept() {
    let db = Database::new().await;
    let enqueued = Client::new(db.pool().clone()).enqueue(&of(&NoOp { n: 7 })).await.expect("enqueued");
    assert!(enqueued.created);
    let worker = Running::start(db.pool(), 4);
    until_state(db.pool(), enqueued.id, "completed").await;
    worker.stop().await;
    let output: serde_json::Value = sqlx::query_scalar("select output from engine.attempt where job_id = $1")
        .bind(enqueued.id)
        .fetch_one(db.pool())
        .await
        .expect("one attempt");
    assert_eq!(output, serde_json::json!({ "n": 7 }));
    let left: i64 = sqlx::query_scalar("select (select count(*) from engine.claim) + (select count(*) from engine.worker)")
        .fetch_one(db.pool())
        .await
        .expect("counts");
    assert_eq!(left, 0, "a drained worker leaves no claim and no row of its own");
}

#[tokio::test]
async fn a_failed_job_is_retried_by_the_policy_of_its_category() {
    let db = Database::new().await;
    let id = Client::new(db.pool().clone()).enqueue(&of(&Fail { category: "conflict".into(), times: 2 })).await.expect("enqueued").id;
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "completed").await;
    worker.stop().await;
    assert_eq!(outcomes(db.pool(), id).await, ["failed", "failed", "completed"]);
    let decided: Vec<(Option<String>, Option<i32>)> =
        sqlx::query_as("select category, policy_version from engine.attempt where job_id = $1 and outcome = 'failed'")
            .bind(id)
            .fetch_all(db.pool())
            .await
            .expect("attempts");
    assert!(decided.iter().all(|(category, version)| category.as_deref() == Some("conflict") && *version == Some(1)));
}

#[tokio::test]
async fn an_edit_of_the_retry_policy_decides_the_very_next_failure() {
    let db = Database::new().await;
    sqlx::query("update engine.retry_config set max_attempts = 1, version = 2 where error_category = 'conflict'")
        .execute(db.pool())
        .await
        .expect("edited");
    let id = Client::new(db.pool().clone()).enqueue(&of(&Fail { category: "conflict".into(), times: 9 })).await.expect("enqueued").id;
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "dead").await;
    worker.stop().await;
    let version: i32 = sqlx::query_scalar("select policy_version from engine.attempt where job_id = $1")
        .bind(id)
        .fetch_one(db.pool())
        .await
        .expect("one attempt");
    assert_eq!(version, 2);
}

#[tokio::test]
async fn an_override_of_one_kind_wins_over_its_category() {
    let db = Database::new().await;
    sqlx::query("insert into engine.retry_override (kind, error_category, max_attempts, backoff_seconds) values ('test.fail', 'validation', 2, '{0}')")
        .execute(db.pool())
        .await
        .expect("inserted");
    let id = Client::new(db.pool().clone()).enqueue(&of(&Fail { category: "validation".into(), times: 9 })).await.expect("enqueued").id;
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "dead").await;
    worker.stop().await;
    assert_eq!(outcomes(db.pool(), id).await, ["failed", "dead"]);
}

#[tokio::test]
async fn a_panic_is_a_bug_and_the_worker_goes_on() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let bad = client.enqueue(&of(&Panic {}).max_attempts(1)).await.expect("enqueued").id;
    let good = client.enqueue(&of(&NoOp { n: 1 })).await.expect("enqueued").id;
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), bad, "dead").await;
    until_state(db.pool(), good, "completed").await;
    worker.stop().await;
    let letters = dead_letter::list(db.pool(), &dead_letter::Filter::default(), 10).await.expect("letters");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].category.as_deref(), Some("bug"));
    let error = letters[0].error_message.as_deref().expect("a panic has a message");
    assert!(error.starts_with("the handler panicked: on purpose\nat tests/support/kinds.rs:"), "{error}");
    assert!(error.contains("kinds::Panic as engine::job::Job") && error.len() < 8192, "{error}");
}

#[tokio::test]
async fn a_snooze_burns_no_attempt() {
    let db = Database::new().await;
    let id = Client::new(db.pool().clone()).enqueue(&of(&Snooze { times: 3 }).max_attempts(1)).await.expect("enqueued").id;
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "completed").await;
    worker.stop().await;
    assert_eq!(outcomes(db.pool(), id).await, ["snoozed", "snoozed", "snoozed", "completed"]);
}

#[tokio::test]
async fn arguments_that_do_not_decode_are_a_dead_letter_that_says_so() {
    let db = Database::new().await;
    let id: JobId = sqlx::query_scalar("select id from engine.enqueue('test.no_op', '{\"n\": \"seven\"}')")
        .fetch_one(db.pool())
        .await
        .expect("enqueued");
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "dead").await;
    worker.stop().await;
    let letters = dead_letter::list(db.pool(), &dead_letter::Filter::default(), 10).await.expect("letters");
    let message = letters[0].error_message.as_deref().unwrap_or_default();
    assert!(message.contains("do not decode as test.no_op"), "{message}");
    assert_eq!(letters[0].category.as_deref(), Some("validation"));
}

#[tokio::test]
async fn an_unknown_kind_is_left_alone() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let unknown: JobId =
        sqlx::query_scalar("select id from engine.enqueue('nobody.knows', '{}')").fetch_one(db.pool()).await.expect("enqueued");
    let known = client.enqueue(&of(&NoOp { n: 1 })).await.expect("enqueued").id;
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), known, "completed").await;
    worker.stop().await;
    assert_eq!(state_of(db.pool(), unknown).await, "ready");
    assert!(outcomes(db.pool(), unknown).await.is_empty());
}

#[tokio::test]
async fn a_running_job_is_stopped_by_a_cancel() {
    let db = Database::new().await;
    let id = Client::new(db.pool().clone()).enqueue(&of(&Sleep { ms: 60_000 }).unique_key("k")).await.expect("enqueued").id;
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "running").await;
    let answer = cancel_request::cancel(db.pool(), id, "ann", Some("no longer wanted")).await.expect("asked");
    assert_eq!(answer, cancel_request::Cancelled::Requested);
    until_state(db.pool(), id, "cancelled").await;
    worker.stop().await;
    let left: i64 = sqlx::query_scalar("select (select count(*) from engine.unique_key) + (select count(*) from engine.cancel_request)")
        .fetch_one(db.pool())
        .await
        .expect("a count");
    assert_eq!(left, 0, "key and request go with the job");
}

#[tokio::test]
async fn a_drained_worker_releases_what_it_did_not_start() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let jobs: Vec<NewJob> = (0..20).map(|_| of(&Sleep { ms: 150 })).collect();
    client.enqueue_many(&jobs).await.expect("enqueued");
    let worker = Running::start(db.pool(), 2);
    wait::until("some have ended", Duration::from_secs(10), || async {
        sqlx::query_scalar::<_, i64>("select count(*) from engine.attempt").fetch_one(db.pool()).await.expect("a count") >= 4
    })
    .await;
    worker.stop().await;
    let standing: Vec<(String, i64)> = sqlx::query_as("select state, count(*) from engine.job_state group by state order by state")
        .fetch_all(db.pool())
        .await
        .expect("states");
    assert_eq!(standing.iter().map(|(_, count)| count).sum::<i64>(), 20);
    assert!(standing.iter().all(|(state, _)| state == "ready" || state == "completed"), "{standing:?}");
    let failed: i64 = sqlx::query_scalar("select count(*) from engine.attempt where outcome not in ('completed', 'released')")
        .fetch_one(db.pool())
        .await
        .expect("a count");
    assert_eq!(failed, 0);
}
