//! An answer that says of something that it is there already waits for the synchronous standby as the first answer did: it may rest on a
//! commit that the primary had when it crashed, and the standby never got.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use engine::{Client, Job, JobId, JobResult, Kinds, NewJob, Outcome, Run, Worker, WorkerConfig, store::cancel_request};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::support::{kinds::NoOp, ledger::count, private::Private, wait};

/// What can be asked for again: a statement, its first answer, and the next.
const DOORS: &[(&str, &str, &str)] = &[
    ("created::text from engine.enqueue('test.no_op', '{}', producer => 'a', idempotency_key => '1')", "true", "false"),
    ("created::text from engine.enqueue('test.no_op', '{}', unique_key => 'one')", "true", "false"),
    ("created::text from engine.enqueue('test.no_op', '{}', unique_key => 'hour', unique_for => interval '1 hour')", "true", "false"),
    ("engine.enqueue_each('test.no_op', 'default', array['{}'::jsonb], array['each'])::text", "1", "0"),
    // An event changes the row of its topic in any case.
    ("created::text from engine.emit('paid', 'order 1', '1', 'event 1')", "true", "false"),
    ("raw_ops.store_courier_event('{}', '{}', 'scan', sha256('scan'), null)", "enqueued", "duplicate"),
    ("raw_ops.store_dispatch_file('{}', 'file', sha256('file'))", "enqueued", "duplicate"),
    ("raw_ops.store_seal_webhook('subscription/created', '1', '{}', '{}', 'body', 'key', true, null)", "enqueued", "duplicate"),
    (
        "count(*)::text from raw_ops.store_shopify_webhooks(array['1a1a1a1a-0000-4000-8000-000000000001'::uuid], array['a.myshopify.com'],
             array['orders/create'], array['hook'], array['event'], array[now()], array['{}'], array['{\"id\": 1}'], array['body'::bytea],
             array[sha256('body')], array[1::bigint], array['1'], array[true], array[null])",
        "1",
        "0",
    ),
    ("outcome from raw_ops.store_temperature_log('{}', '{}', 'log', sha256('log'))", "enqueued", "duplicate"),
    (
        "raw_ops.take_delivery_report('report', 'delivered', now(), 'mail', null, null, 'a@example.com', true, null)",
        "unmatched",
        "duplicate",
    ),
    ("raw_ops.take_delivery_report('r', 'delivered', now(), 'mail', null, 'event', 'a@example.com', false, null)", "campaign", "campaign"),
    ("coalesce(raw_ops.clear_alert('a key', 'over', 'all is well')::text, 'nothing')", "nothing", "nothing"),
    ("raw_ops.close_privacy_request('1a1a1a1a-0000-4000-8000-000000000002', 'ann', 'done')::text", "false", "false"),
];

async fn ask(url: String, door: &str) -> String {
    let mut connection = PgConnection::connect(&url).await.expect("the server is there");
    let asking = sqlx::query_scalar(AssertSqlSafe(format!("select {door}"))).fetch_one(&mut connection);
    asking.await.unwrap_or_else(|error| panic!("{door}: {error}"))
}

async fn enqueue_many(pool: PgPool) -> Vec<bool> {
    let job = NewJob::of(&NoOp { n: 1 }).expect("arguments serialise").unique_key("many");
    let ids = Client::new(pool).enqueue_many(&[job]).await.expect("enqueued");
    ids.iter().map(Option::is_some).collect()
}

/// Names the standbys that commits wait for.
async fn expect_standby(pool: &PgPool, names: &'static str) {
    pool.execute(AssertSqlSafe(format!("alter system set synchronous_standby_names = '{names}'"))).await.expect("the user may");
    pool.execute("select pg_reload_conf()").await.expect("the user may");
}

/// Commits until it is told to end. When the first of its commits waits, all do.
async fn commit(url: String, end: CancellationToken) {
    let mut connection = PgConnection::connect(&url).await.expect("the server is there");
    while !end.is_cancelled() {
        connection.execute("select pg_logical_emit_message(true, 'a test', '')").await.expect("committed");
    }
}

async fn a_job_that_was_cancelled(pool: &PgPool) -> JobId {
    let job = NewJob::of(&NoOp { n: 1 }).expect("arguments serialise");
    let id = Client::new(pool.clone()).enqueue(&job).await.expect("enqueued").id;
    cancel_request::cancel(pool, id, "ann", None).await.expect("cancelled");
    id
}

async fn until_so_many_wait(pool: &PgPool, many: usize, who: &str) {
    let waiting = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";
    wait::until(who, Duration::from_secs(10), || async { count(pool, waiting).await == many as i64 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_again_is_answered_when_the_standby_has_it() {
    let server = Private::start().await;
    for (door, first, _) in DOORS {
        assert_eq!(ask(server.url().into(), door).await, *first, "{door}");
    }
    assert_eq!(enqueue_many(server.pool().clone()).await, [true]);
    let ended = a_job_that_was_cancelled(server.pool()).await;

    server.pool().execute("delete from engine.unique_key where key = 'hour'").await.expect("as if that job had ended");

    let (mut asked, end) = (JoinSet::new(), CancellationToken::new());
    expect_standby(server.pool(), "nobody").await;
    asked.spawn(commit(server.url().into(), end.clone()));
    until_so_many_wait(server.pool(), 1, "the setting is known").await;
    for (place, (door, _, next)) in DOORS.iter().enumerate() {
        let url = server.url().to_owned();
        asked.spawn(async move { assert_eq!(ask(url, door).await, *next, "{door}") });
        until_so_many_wait(server.pool(), place + 2, door).await;
    }
    let pool = server.pool().clone();
    asked.spawn(async move { assert_eq!(enqueue_many(pool).await, [false]) });
    until_so_many_wait(server.pool(), DOORS.len() + 2, "many at once").await;
    let client = Client::new(server.pool().clone());
    asked.spawn(async move { assert!(client.ending(ended).await.expect("told").is_some()) });
    until_so_many_wait(server.pool(), DOORS.len() + 3, "the end of a job").await;
    assert!(asked.try_join_next().is_none(), "nobody has been answered");

    end.cancel();
    expect_standby(server.pool(), "").await;
    asked.join_all().await;
}

static HAS_BEGUN: AtomicBool = AtomicBool::new(false);
static IS_IN_DOUBT: AtomicBool = AtomicBool::new(false);
static WENT_ON: AtomicBool = AtomicBool::new(false);
static GO_ON: Notify = Notify::const_new();

/// A workflow that tries a step again in the same attempt when it does not know whether it was kept.
#[derive(Serialize, Deserialize)]
struct Persistent {}

impl Job for Persistent {
    const KIND: &'static str = "test.persistent";

    async fn run(&self, run: &mut Run) -> JobResult {
        HAS_BEGUN.store(true, Ordering::Release);
        GO_ON.notified().await;
        while run.random("drawn").await.is_err() {
            IS_IN_DOUBT.store(true, Ordering::Release);
            GO_ON.notified().await;
        }
        WENT_ON.store(true, Ordering::Release);
        Ok(Outcome::done())
    }
}

/// Ends the sessions of workers in which a commit waits for the standby.
const END_COMMITS: &str = "select count(pg_terminate_backend(pid)) from pg_stat_activity
    where wait_event = 'SyncRep' and query ilike 'commit%' and application_name like 'rawops worker %'";
const COMMITS: &str = "select count(*) from pg_stat_activity
    where wait_event = 'SyncRep' and query ilike 'commit%' and application_name like 'rawops worker %'";

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_goes_on_from_a_step_of_an_unanswered_commit_when_the_standby_has_it() {
    let server = Private::start().await;
    let limit = Duration::from_secs(20);
    let is = |flag: &'static AtomicBool| async { flag.load(Ordering::Acquire) };
    let id =
        Client::new(server.pool().clone()).enqueue(&NewJob::of(&Persistent {}).expect("arguments serialise")).await.expect("enqueued").id;
    let (stop, config) = (CancellationToken::new(), WorkerConfig { queues: vec!["default".into()], ..WorkerConfig::default() });
    let worker = tokio::spawn(Worker::new(server.pool().clone(), Kinds::new().with::<Persistent>(), config).run(stop.clone()));
    wait::until("it runs", limit, || is(&HAS_BEGUN)).await;

    expect_standby(server.pool(), "nobody").await;
    let mut probe = JoinSet::new();
    let end = CancellationToken::new();
    probe.spawn(commit(server.url().into(), end.clone()));
    wait::until("the setting is known", limit, || async {
        count(server.pool(), "select count(*) from pg_stat_activity where wait_event = 'SyncRep'").await > 0
    })
    .await;
    GO_ON.notify_one();
    wait::until("its commit is not answered", limit, || async { count(server.pool(), END_COMMITS).await == 0 && is(&IS_IN_DOUBT).await })
        .await;
    GO_ON.notify_one();
    wait::until("it waits for the standby, or goes on", limit, || async { is(&WENT_ON).await || count(server.pool(), COMMITS).await > 0 })
        .await;
    assert!(!is(&WENT_ON).await, "the standby has not got the step");

    end.cancel();
    expect_standby(server.pool(), "").await;
    probe.join_all().await;
    Client::new(server.pool().clone()).wait_for_end(id, limit).await.expect("the job exists").expect("it ends in time");
    assert_eq!(count(server.pool(), "select count(*) from engine.attempt").await, 1, "all in one attempt");
    stop.cancel();
    worker.await.expect("no panic").expect("the worker ends well");
}
