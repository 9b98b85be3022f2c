//! Customer.io is down for a while: the mails wait, few attempts are burnt, and each goes out once.

use std::time::Duration;

use engine::{
    Worker, WorkerConfig,
    store::breaker::{self, Breaker, Rule},
};
use jobs::clients::customerio;
use sandbox::Fault;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{put, retry_at_once};
use crate::support::{Database, Outside, ledger, wait};

const MAILS: usize = 300;
const LIMIT: Duration = Duration::from_secs(30);

async fn of_mails(pool: &PgPool) -> Option<Breaker> {
    breaker::list(pool).await.expect("listed").into_iter().find(|breaker| breaker.system == customerio::APP)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_vendor_holds_the_mails_and_loses_none() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let pool = db.pool();
    retry_at_once(pool).await;
    sqlx::query("update raw_ops.retry_config set alert_on_attempt = null, escalate_on_attempt = null, max_attempts = 1000")
        .execute(pool)
        .await
        .expect("the policy is data");
    outside.customerio.always(Some(Fault::Status(503)));
    for n in 0..MAILS {
        put(pool, &format!("ann{n}@example.com")).await;
    }
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(pool.clone(), outside.kinds(), WorkerConfig::default()).run(stop.clone()));
    wait::until("the breaker is known", LIMIT, || async { of_mails(pool).await.is_some() }).await;
    let rule = Rule { cooldown_ms: Some(300), cooldown_most_ms: Some(300), ..Rule::default() };
    breaker::set(pool, customerio::APP, &rule, "a test").await.expect("set");
    wait::until("two probes have failed", LIMIT, || async { of_mails(pool).await.is_some_and(|breaker| breaker.openings >= 3) }).await;
    let burnt = ledger::outcome(pool, "failed").await;
    assert!(burnt < 100, "{burnt} attempts of {MAILS} mails were burnt");
    assert_eq!(outside.customerio.message_count(), 0);
    outside.customerio.always(None);
    let left = "select count(*) from raw_ops.outbox where state <> 'sent'";
    wait::until("every mail is out", LIMIT, || async { ledger::count(pool, left).await == 0 }).await;
    stop.cancel();
    worker.await.expect("the worker does not panic").expect("its configuration is right");
    assert_eq!(outside.customerio.message_count(), MAILS, "each once");
    assert_eq!(of_mails(pool).await.map(|breaker| breaker.state), Some("closed".into()));
    ledger::check(pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_that_need_not_go_out_any_more_close_no_breaker() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let pool = db.pool();
    let mut connection = pool.acquire().await.expect("a connection");
    breaker::declare(&mut connection, &[("outbox.deliver_message", Some(customerio::APP))]).await.expect("declared");
    let rule = Rule { cooldown_ms: Some(100), cooldown_most_ms: Some(100), ..Rule::default() };
    breaker::set(pool, customerio::APP, &rule, "a test").await.expect("set");
    let down = breaker::Ends { system: customerio::APP, category: Some("network"), ended: 10, wait_ms: None, error: None };
    breaker::report(&mut connection, &[down], &[], 1.0).await.expect("told").expect("nobody else decides");
    for n in 0..5 {
        put(pool, &format!("ann{n}@example.com")).await;
    }
    sqlx::query("delete from raw_ops.outbox").execute(pool).await.expect("deleted");
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(pool.clone(), outside.kinds(), WorkerConfig::default()).run(stop.clone()));
    ledger::all_ended(pool, LIMIT).await;
    wait::until("it is open again", LIMIT, || async { of_mails(pool).await.is_some_and(|breaker| breaker.state == "open") }).await;
    assert_eq!(ledger::outcome(pool, "completed").await, 5);
    put(pool, "ann@example.com").await;
    wait::until("it closes", LIMIT, || async { of_mails(pool).await.is_some_and(|breaker| breaker.state == "closed") }).await;
    stop.cancel();
    worker.await.expect("the worker does not panic").expect("its configuration is right");
    assert_eq!(outside.customerio.message_count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_of_unknown_outcome_open_the_breaker_although_their_jobs_end_well() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let pool = db.pool();
    outside.customerio.always(Some(Fault::Status(500)));
    for n in 0..100 {
        put(pool, &format!("ann{n}@example.com")).await;
    }
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(pool.clone(), outside.kinds(), WorkerConfig::default()).run(stop.clone()));
    wait::until("it opens", LIMIT, || async { of_mails(pool).await.is_some_and(|breaker| breaker.state == "open") }).await;
    let parked = || async { ledger::count(pool, "select count(*) from raw_ops.outbox where state = 'sending'").await == 0 };
    wait::until("nothing is on its way", LIMIT, parked).await;
    stop.cancel();
    worker.await.expect("the worker does not panic").expect("its configuration is right");
    let waiting = ledger::count(pool, "select count(*) from raw_ops.outbox where state = 'pending'").await;
    assert!(waiting >= 50, "only {waiting} of 100 mails were spared");
}
