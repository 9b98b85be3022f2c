//! `rawops web`, `worker` and `scheduler` as processes.

use std::time::Duration;

use engine::{Client, NewJob};
use jobs::health::PruneEnqueueKeys;

use super::program::{code, command, free_port, signal};
use crate::support::{Database, ledger, wait::until};

const LIMIT: Duration = Duration::from_secs(30);

async fn text(url: &str) -> Option<String> {
    reqwest::get(url).await.ok()?.text().await.ok()
}

#[tokio::test]
async fn a_worker_process_runs_jobs_shows_its_figures_and_ends_well() {
    let db = Database::new().await;
    let address = format!("127.0.0.1:{}", free_port());
    let mut worker = command(&["worker"]);
    worker.env("DATABASE_URL", db.url()).env("METRICS_BIND", &address).env("WORKER_NAME", "number one").env("RAWOPS_LOG", "off");
    let worker = worker.spawn().expect("the program can be run");
    let job = NewJob::of(&PruneEnqueueKeys {}).expect("the arguments are JSON");
    Client::new(db.pool().clone()).enqueue(&job).await.expect("the queue takes the job");
    until("the job is completed", LIMIT, async || ledger::outcome(db.pool(), "completed").await == 1).await;
    let figures = text(&format!("http://{address}/metrics")).await.expect("the worker serves its figures");
    assert!(figures.contains("rawops_attempts_total{outcome=\"completed\"} 1\n"), "{figures}");
    let name: String = sqlx::query_scalar("select name from engine.worker").fetch_one(db.pool()).await.expect("the worker is registered");
    assert_eq!(name, "number one");

    signal(&worker, "TERM");
    let ended = worker.wait_with_output().await.expect("the worker ends");
    assert_eq!((code(ended.status), ended.stderr), (0, Vec::new()));
    assert_eq!(ledger::count(db.pool(), "select count(*) from engine.worker").await, 0, "it signed off");
}

#[tokio::test]
async fn a_web_process_answers_and_ends_well() {
    let db = Database::new().await;
    let port = free_port();
    let mut web = command(&["web"]);
    web.env("DATABASE_URL", db.url()).env("BIND", format!("127.0.0.1:{port}"));
    web.env("SHOPIFY_WEBHOOK_SECRET", "hush").env("SHOPIFY_SHOP_DOMAIN", "raw.myshopify.com").env("RAWOPS_LOG", "off");
    let web = web.spawn().expect("the program can be run");
    let ready = format!("http://127.0.0.1:{port}/readyz");
    until("the process is ready", LIMIT, async || text(&ready).await.as_deref() == Some("ready\n")).await;
    signal(&web, "TERM");
    let ended = web.wait_with_output().await.expect("the process ends");
    assert_eq!((code(ended.status), ended.stderr), (0, Vec::new()));
}

#[tokio::test]
async fn a_scheduler_process_leads_and_resigns() {
    let db = Database::new().await;
    let mut scheduler = command(&["scheduler"]);
    scheduler.env("DATABASE_URL", db.url()).env("RAWOPS_LOG", "off");
    let scheduler = scheduler.spawn().expect("the program can be run");
    let written = "select count(*) from raw_ops.cron_jobs_metadata where jobname = 'prune_enqueue_keys'";
    until("it leads", LIMIT, async || ledger::count(db.pool(), written).await == 1).await;
    signal(&scheduler, "INT");
    let ended = scheduler.wait_with_output().await.expect("the process ends");
    assert_eq!((code(ended.status), ended.stderr), (0, Vec::new()));
    assert_eq!(ledger::count(db.pool(), "select count(*) from engine.leader where until > engine.now()").await, 0, "it resigned");
}

#[tokio::test]
async fn wrong_settings_are_told_all_at_once() {
    let db = Database::new().await;
    let mut worker = command(&["worker"]);
    worker.env("DATABASE_URL", db.url()).env("WORKER_CONCURRENCY", "lots").env("METRICS_BIND", "here");
    let sentence = super::program::answer(worker).await.refusal(1);
    assert!(
        sentence.starts_with("WORKER_CONCURRENCY is \"lots\"; expected") && sentence.contains("; METRICS_BIND is \"here\""),
        "{sentence}"
    );
    let mut doctor = command(&["doctor"]);
    doctor.env("DATABASE_URL", db.url()).env("RAWOPS_LOG_FORMAT", "xml");
    let sentence = super::program::answer(doctor).await.refusal(1);
    assert_eq!(sentence, "RAWOPS_LOG_FORMAT is \"xml\"; expected json or human");
}

#[tokio::test]
async fn a_log_can_be_json() {
    let mut worker = command(&["worker"]);
    worker.env("DATABASE_URL", "postgres://ada@127.0.0.1:1/raw").env("RAWOPS_LOG_FORMAT", "json");
    let mut worker = worker.spawn().expect("the program can be run");
    let mut lines = tokio::io::BufReader::new(worker.stderr.take().expect("standard error is ours"));
    let mut line = String::new();
    tokio::io::AsyncBufReadExt::read_line(&mut lines, &mut line).await.expect("the worker logs");
    let entry: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!(entry["level"], "WARN");
    assert_eq!(entry["message"], "the database is away, asking again every second");
}
