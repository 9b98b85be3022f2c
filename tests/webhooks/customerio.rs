//! Reports of Customer.io: what they settle, and what is refused.

use std::time::Duration;

use engine::{Worker, WorkerConfig};
use sandbox::Fault;
use sandbox::customerio::{Options, Reporting, sign};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use web::webhooks::customerio::PATH;

use super::edge::{Edge, REPORTS_KEY, REPORTS_KEY_BEFORE};
use crate::outbox::{mail, put};
use crate::support::{Outside, ledger, outside, shelf::rows, wait::until};

fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

/// A report of a single mail, with these fields in its data.
fn report(metric: &str, data: &Value) -> Value {
    let mut all =
        json!({ "delivery_id": "d1", "recipient": "ann@example.com", "transactional_message_id": 3, "identifiers": { "id": null } });
    all.as_object_mut().expect("an object").extend(data.as_object().expect("an object").clone());
    json!({ "event_id": Uuid::new_v4().to_string(), "object_type": "email", "metric": metric, "timestamp": now(), "data": all })
}

fn of_mail(metric: &str, id: Uuid) -> Value {
    report(metric, &json!({ "headers": { "X-rawops-message": [id] } }))
}

async fn post(edge: &Edge, key: &str, at: i64, body: &str) -> u16 {
    let signature = sign(key, at, body.as_bytes());
    let request = reqwest::Client::new().post(edge.url(PATH)).header("content-type", "application/json");
    let request = request.header("x-cio-timestamp", at.to_string()).header("x-cio-signature", signature).body(body.to_owned());
    request.send().await.expect("the process answers").status().as_u16()
}

async fn tell(edge: &Edge, report: &Value) {
    assert_eq!(post(edge, REPORTS_KEY, now(), &report.to_string()).await, 200);
}

/// A mail in this state, which was on its way a moment ago.
async fn mail_in(edge: &Edge, state: &str) -> Uuid {
    let id = put(edge.pool(), "Ann@Example.com").await;
    sqlx::query("select raw_ops.begin_message($1)").bind(id).execute(edge.pool()).await.expect("it is sent");
    sqlx::query("update raw_ops.outbox set state = $2 where id = $1").bind(id).bind(state).execute(edge.pool()).await.expect("a state");
    id
}

async fn state(edge: &Edge, id: Uuid) -> String {
    mail(edge.pool(), id).await.state
}

#[tokio::test]
async fn only_what_is_signed_with_a_live_key_and_dated_now_is_taken() {
    let edge = Edge::start().await;
    let body = report("sent", &json!({})).to_string();
    for (key, at, status) in [
        (REPORTS_KEY, now(), 200),
        (REPORTS_KEY_BEFORE, now() - 3600, 200),
        ("another key", now(), 401),
        (REPORTS_KEY, now() - 3 * 3600, 401),
        (REPORTS_KEY, now() + 600, 401),
    ] {
        assert_eq!(post(&edge, key, at, &body).await, status, "{key} {at}");
    }
    let at = now();
    let request = |signature: String| {
        let request = reqwest::Client::new().post(edge.url(PATH)).header("content-type", "application/json");
        request.header("x-cio-timestamp", (at + 1).to_string()).header("x-cio-signature", signature).body(body.clone()).send()
    };
    for signature in [sign(REPORTS_KEY, at, body.as_bytes()), String::new(), "00".repeat(32), "zz".repeat(32)] {
        assert_eq!(request(signature.clone()).await.expect("answered").status(), 401, "{signature}");
    }
    assert_eq!(request(sign(REPORTS_KEY, at + 1, body.as_bytes()).to_uppercase()).await.expect("answered").status(), 200);
    assert_eq!(rows(edge.pool(), "select count(*) from raw_ops.delivery_reports").await, json!([[1]]), "one event, however often");
}

#[tokio::test]
async fn a_report_settles_a_mail_of_unknown_outcome_once() {
    let edge = Edge::start().await;
    let id = mail_in(&edge, "unknown").await;
    let sent = of_mail("sent", id);
    tell(&edge, &sent).await;
    tell(&edge, &sent).await;
    let row = mail(edge.pool(), id).await;
    assert_eq!((row.state.as_str(), row.delivery_id.as_deref(), row.error_message), ("sent", Some("d1"), None));
    assert_eq!(
        rows(edge.pool(), "select metric, delivery_id, recipient, outbox_id is not null from raw_ops.delivery_reports").await,
        json!([["sent", "d1", null, true]])
    );
}

#[tokio::test]
async fn what_a_report_means_depends_on_its_metric_and_on_what_is_known() {
    let edge = Edge::start().await;
    let bounced = "Customer.io reports bounced: no such box";
    for (before, metric, after, words) in [
        ("unknown", "delivered", "sent", None),
        ("sending", "sent", "sent", None),
        ("pending", "opened", "sent", None),
        ("failed", "clicked", "sent", None),
        ("unknown", "attempted", "unknown", None),
        ("unknown", "drafted", "unknown", None),
        ("unknown", "failed", "failed", Some("Customer.io reports failed: no such box")),
        ("sent", "dropped", "sent", Some("Customer.io reports dropped: no such box")),
        ("unknown", "bounced", "sent", None),
    ] {
        let id = mail_in(&edge, before).await;
        let mut told = of_mail(metric, id);
        told["data"]["delivery_id"] = json!(id);
        told["data"]["failure_message"] = json!("no such box");
        tell(&edge, &told).await;
        let row = mail(edge.pool(), id).await;
        assert_eq!((row.state.as_str(), row.error_message.as_deref()), (after, words), "{before} {metric}");
    }
    let told = rows(edge.pool(), "select message from raw_ops.ops_events where kind = 'EMAIL_NOT_DELIVERED' order by message").await;
    assert_eq!(told, json!([[bounced], ["Customer.io reports dropped: no such box"], ["Customer.io reports failed: no such box"]]));
}

#[tokio::test]
async fn a_report_without_our_header_is_matched_when_it_can_be_about_one_mail_only() {
    let edge = Edge::start().await;
    let id = mail_in(&edge, "unknown").await;
    tell(&edge, &report("sent", &json!({}))).await;
    assert_eq!(state(&edge, id).await, "sent", "by its person and time");
    let twins = [mail_in(&edge, "unknown").await, mail_in(&edge, "unknown").await];
    tell(&edge, &report("sent", &json!({ "delivery_id": "d2" }))).await;
    for twin in twins {
        assert_eq!(state(&edge, twin).await, "unknown", "it may be either");
    }
    sqlx::query("update raw_ops.outbox set state = 'cancelled' where id = any ($1)")
        .bind(&twins[..])
        .execute(edge.pool())
        .await
        .expect("decided");
    let old = mail_in(&edge, "unknown").await;
    sqlx::query("update raw_ops.outbox set last_sent_at = now() - interval '2 hours' where id = $1")
        .bind(old)
        .execute(edge.pool())
        .await
        .expect("old");
    tell(&edge, &report("sent", &json!({ "delivery_id": "d3" }))).await;
    assert_eq!(state(&edge, old).await, "unknown", "that was another mail");
}

#[tokio::test]
async fn a_report_that_comes_before_the_mail_is_parked_settles_it_then() {
    let edge = Edge::start().await;
    let id = mail_in(&edge, "sending").await;
    tell(&edge, &report("sent", &json!({}))).await;
    assert_eq!(state(&edge, id).await, "sending", "its own answer may still come");
    sqlx::query("select raw_ops.settle_message($1, 'unknown', null, 'no answer')").bind(id).execute(edge.pool()).await.expect("parked");
    let row = mail(edge.pool(), id).await;
    assert_eq!((row.state.as_str(), row.delivery_id.as_deref()), ("sent", Some("d1")));
}

#[tokio::test]
async fn a_campaigns_report_touches_no_mail_and_names_the_event_it_came_from() {
    let edge = Edge::start().await;
    let id = mail_in(&edge, "unknown").await;
    let event: Uuid = sqlx::query_scalar(
        "with ann as (insert into raw_ops.customers (email) values ('ann@example.com') returning id, email)
         insert into raw_ops.lifecycle_events (event_name, idempotency_key, customer_id, customer_email, status, customerio_event_id)
         select 'x', 'k', id, email, 'processed', 'ULID1' from ann returning id",
    )
    .fetch_one(edge.pool())
    .await
    .expect("an event");
    tell(&edge, &report("sent", &json!({ "campaign_id": 4, "trigger_event_id": "ULID1", "transactional_message_id": null }))).await;
    assert_eq!(state(&edge, id).await, "unknown");
    let known: Option<String> = sqlx::query_scalar("select customerio_delivery_id from raw_ops.lifecycle_events where id = $1")
        .bind(event)
        .fetch_one(edge.pool())
        .await
        .expect("the event");
    assert_eq!(known.as_deref(), Some("d1"));
}

#[tokio::test]
async fn what_is_signed_and_no_report_holds_nothing_up() {
    let edge = Edge::start().await;
    let mut odd = report("sent", &json!({ "recipient": "a\u{0}b", "failure_message": "\u{0}" }));
    odd["timestamp"] = json!(i64::MAX);
    for body in [
        "[]".to_string(),
        "{".into(),
        json!({ "event_id": "x", "object_type": "sms", "metric": "sent", "timestamp": 1 }).to_string(),
        odd.to_string(),
    ] {
        assert_eq!(post(&edge, REPORTS_KEY, now(), &body).await, 200, "{body}");
    }
    let mut nameless = report("sent", &json!({}));
    nameless["event_id"] = json!("");
    tell(&edge, &nameless).await;
    assert_eq!(rows(edge.pool(), "select count(*) from raw_ops.delivery_reports").await, json!([[1]]));
}

/// The whole way: mails whose answers are lost, and the account's reports of them.
#[tokio::test(flavor = "multi_thread")]
async fn mails_whose_answers_are_lost_are_settled_by_their_reports() {
    let edge = Edge::start().await;
    let reporting = Reporting {
        url: edge.url(PATH),
        signing_key: REPORTS_KEY.into(),
        include_headers: true,
        twice: true,
        retry_after: Duration::from_millis(50),
    };
    let account = Options { reporting: Some(reporting), ..outside::account() };
    let outside = Outside::of(account, outside::workspace()).await;
    outside.customerio.ask((0..40).map(|n| if n % 4 == 3 { Fault::Garbage } else { Fault::LostReply }));
    for n in 0..60 {
        put(edge.pool(), &format!("ann{}@example.com", n % 7)).await;
    }
    // So many lost answers would open the breaker, and what is shown here would take hours.
    sqlx::query(
        "insert into engine.breaker (system, held, held_at, held_by) values ('customerio.app', 'closed', engine.now(), 'the test')",
    )
    .execute(edge.pool())
    .await
    .expect("the breaker is held closed");
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(edge.pool().clone(), outside.kinds(), WorkerConfig::default()).run(stop.clone()));
    until("every mail is settled", Duration::from_secs(30), async || {
        ledger::count(edge.pool(), "select count(*) from raw_ops.outbox where state <> 'sent'").await == 0
    })
    .await;
    stop.cancel();
    worker.await.expect("the worker ends").expect("the worker ends well");
    assert_eq!(outside.customerio.message_count(), 60);
    for message in outside.customerio.messages() {
        let id: Uuid = message.header("X-Rawops-Message").expect("marked").parse().expect("an id");
        assert_eq!(mail(edge.pool(), id).await.delivery_id, Some(message.delivery_id));
    }
    ledger::check(edge.pool()).await;
}
