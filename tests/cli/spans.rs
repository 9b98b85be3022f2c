//! Spans by OTLP: from a request to the jobs that follow from it and to the calls that they make.

use std::time::Duration;

use engine::{Client, NewJob};
use jobs::health::PruneEnqueueKeys;
use tokio::process::{Child, Command};
use web::api::{Scope, tokens};

use super::program::{code, command, free_port, signal};
use crate::outbox::retry_at_once;
use crate::support::{
    Collector, Database,
    collector::Seen,
    ledger::{self, count},
    wait::until,
};

const LIMIT: Duration = Duration::from_mins(1);
const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A process of the house that tells its spans.
fn process(what: &str, db: &Database, endpoint: &str) -> Command {
    let mut process = command(&[what]);
    process.env("DATABASE_URL", db.url()).env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).env("OTEL_SERVICE_NAME", what);
    process.env("OTEL_BSP_SCHEDULE_DELAY", "100").env("RAWOPS_LOG", "error");
    process
}

async fn end(process: Child) {
    signal(&process, "TERM");
    let ended = process.wait_with_output().await.expect("the process ends");
    assert_eq!(code(ended.status), 0, "{}", String::from_utf8_lossy(&ended.stderr));
}

/// The one span of a name, and of an attempt if it is one.
fn one<'a>(spans: &'a [Seen], name: &str, attempt: Option<&str>) -> &'a Seen {
    let fits = |span: &&Seen| span.name == name && span.facts.get("job.attempt").map(String::as_str) == attempt;
    let found: Vec<&Seen> = spans.iter().filter(fits).collect();
    assert_eq!(found.len(), 1, "{name} {attempt:?}: {spans:#?}");
    found[0]
}

#[tokio::test]
async fn a_trace_goes_from_a_request_to_jobs_their_follow_ups_and_outbound_calls() {
    let (db, collector) = (Database::new().await, Collector::start(1).await);
    retry_at_once(db.pool()).await;
    sqlx::query(
        "insert into engine.notice (level, queue, kind, category, job_id, attempt, error, at)
         values ('dead', 'default', 'test.fail', 'network', 1, 1, 'on purpose', engine.now())",
    )
    .execute(db.pool())
    .await
    .expect("a failure to be told of");
    let port = free_port();
    let mut web = process("web", &db, collector.url());
    web.env("BIND", format!("127.0.0.1:{port}")).env("SHOPIFY_WEBHOOK_SECRET", "hush").env("SHOPIFY_SHOP_DOMAIN", "raw.myshopify.com");
    let web = web.spawn().expect("the program can be run");
    let mut worker = process("worker", &db, collector.url());
    worker.env("SLACK_WEBHOOK_OPS_ALERTS", collector.slack());
    let worker = worker.spawn().expect("the program can be run");
    let token = tokens::create(db.pool(), "test", &[Scope::JobsWrite], "ada", None).await.expect("a token");
    let request = reqwest::Client::new()
        .post(format!("http://127.0.0.1:{port}/v1/jobs"))
        .bearer_auth(token)
        .header("traceparent", GIVEN)
        .header("tracestate", "rojo=1")
        .json(&serde_json::json!({ "kind": "alerts.report_failures", "args": {} }));
    let send = async || request.try_clone().expect("it has no stream").send().await.is_ok_and(|answer| answer.status() == 201);
    until("the job is enqueued", LIMIT, send).await;
    until("both jobs are done", LIMIT, async || ledger::outcome(db.pool(), "completed").await == 2).await;
    end(worker).await;
    end(web).await;

    let spans = collector.spans();
    let enqueued = one(&spans, "POST /v1/jobs", None);
    let report = one(&spans, "alerts.report_failures", Some("1"));
    let [failed, posted] = ["1", "2"].map(|attempt| one(&spans, "alerts.post_alert", Some(attempt)));
    assert_eq!((enqueued.parent.as_str(), enqueued.service.as_str()), ("00f067aa0ba902b7", "web"));
    assert_eq!((&report.parent, report.service.as_str()), (&enqueued.span, "worker"));
    assert_eq!((&failed.parent, &posted.parent), (&report.span, &report.span), "what a trigger enqueues is a child as well");
    assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:#?}");
    assert_eq!((failed.failed, failed.facts["job.outcome"].as_str(), failed.facts["job.category"].as_str()), (true, "failed", "upstream"));
    assert_eq!((posted.failed, posted.facts["job.outcome"].as_str()), (false, "completed"));
    assert_eq!((posted.facts["job.queue"].as_str(), posted.facts["job.kind"].as_str()), ("alerts", "alerts.post_alert"));
    assert!(posted.facts.contains_key("worker.id") && posted.facts.contains_key("job.id"), "{posted:?}");
    assert_eq!((&posted.links, failed.links.len()), (&vec![failed.span.clone()], 0), "an attempt points to the one before");

    let calls: Vec<&Seen> = spans.iter().filter(|span| span.name == "POST Slack").collect();
    assert_eq!(calls.iter().map(|call| &call.parent).collect::<Vec<_>>(), [&failed.span, &posted.span]);
    let headers: Vec<String> = calls.iter().map(|call| format!("traceparent: 00-{TRACE}-{}-01", call.span)).collect();
    let posts = collector.posts();
    assert!(posts.len() == 2 && posts.iter().zip(&headers).all(|(post, header)| post.contains(header)), "{posts:?} {headers:?}");
    assert!(posts.iter().all(|post| post.contains("tracestate: rojo=1")), "{posts:?}");
}

#[tokio::test]
async fn jobs_that_nobody_traced_are_a_trace_each() {
    let (db, collector) = (Database::new().await, Collector::start(0).await);
    let job = NewJob::of(&PruneEnqueueKeys {}).expect("the arguments are JSON");
    Client::new(db.pool().clone()).enqueue_many(&[job.clone(), job]).await.expect("enqueued");
    let worker = process("worker", &db, collector.url()).spawn().expect("the program can be run");
    until("both jobs are done", LIMIT, async || ledger::outcome(db.pool(), "completed").await == 2).await;
    end(worker).await;
    let spans = collector.spans();
    assert_eq!(spans.len(), 2, "the last spans go out before the process ends: {spans:#?}");
    assert!(spans[0].trace != spans[1].trace && spans.iter().all(|span| span.parent.is_empty()), "{spans:#?}");
}

#[tokio::test]
async fn a_collector_that_is_away_or_hangs_stops_no_job_and_no_shutdown() {
    let hanging = Collector::that_hangs().await;
    // More than the queue of spans holds.
    let (jobs, away) = (3000, format!("http://127.0.0.1:{}", free_port()));
    for endpoint in [hanging.url(), &away] {
        let db = Database::new().await;
        let job = NewJob::of(&PruneEnqueueKeys {}).expect("the arguments are JSON");
        Client::new(db.pool().clone()).enqueue_many(&vec![job; jobs]).await.expect("enqueued");
        let worker = process("worker", &db, endpoint).spawn().expect("the program can be run");
        until("every job is done", LIMIT, async || ledger::outcome(db.pool(), "completed").await == jobs as i64).await;
        end(worker).await;
        assert_eq!(count(db.pool(), "select count(*) from engine.worker").await, 0, "it signed off");
    }
}
