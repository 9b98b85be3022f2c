//! Shopify's webhooks, from a signed request to the inbox and the queue.

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use super::edge::Edge;

const ORDER: &str = r#"{"id":820982911946154508,"order_number":1001,"email":"siân@example.com"}"#;

#[tokio::test]
async fn a_signed_order_is_stored_byte_for_byte_with_its_job() {
    let edge = Edge::start().await;
    let body = "{ \"id\": 820982911946154508,\t\"order_number\": 1001, \"order_number\": 1001 }\r\n";
    assert_eq!(edge.deliver("orders/create", "w-1", body).await, 200);
    let inbox = edge.inbox().await;
    assert_eq!(inbox.len(), 1);
    let row = &inbox[0];
    assert_eq!((row.topic.as_str(), row.webhook_id.as_str()), ("orders/create", "w-1"));
    assert_eq!(row.processing_status, "pending");
    assert_eq!(row.raw_body, body.as_bytes());
    assert_eq!(row.payload, r#"{"id": 820982911946154508, "order_number": 1001}"#);
    assert_eq!((&row.last_error, row.replay_of), (&None, None));
    assert_eq!(edge.take_jobs().await, [row.id]);
}

#[tokio::test]
async fn the_row_keeps_what_the_headers_claim_and_not_the_signature() {
    let edge = Edge::start().await;
    edge.deliver("orders/create", "w-1", ORDER).await;
    let (order_id, number, event_id, shop, triggered_at, verified): (i64, String, String, String, String, bool) = sqlx::query_as(
        "select shopify_order_id, shopify_order_number, event_id, shop,
                to_char(triggered_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'), hmac_verified
         from raw_ops.webhook_inbox",
    )
    .fetch_one(edge.pool())
    .await
    .expect("one row");
    assert_eq!((order_id, number.as_str()), (820_982_911_946_154_508, "1001"));
    assert_eq!(event_id, "98880550-7158-44d4-b7cd-2c97c8a091b5");
    assert_eq!((shop.as_str(), triggered_at.as_str(), verified), (super::edge::SHOP, "2026-03-29 01:00:00", true));
    let headers: serde_json::Value =
        sqlx::query_scalar("select raw_headers from raw_ops.webhook_inbox").fetch_one(edge.pool()).await.expect("one row");
    assert_eq!(headers["x-shopify-topic"], "orders/create");
    assert!(headers.get("x-shopify-hmac-sha256").is_none());
    edge.take_jobs().await;
}

#[tokio::test]
async fn a_redelivered_webhook_creates_no_second_job() {
    let edge = Edge::start().await;
    for _ in 0..3 {
        assert_eq!(edge.deliver("orders/create", "w-1", ORDER).await, 200);
    }
    assert_eq!(edge.inbox().await.len(), 1);
    assert_eq!(edge.take_jobs().await.len(), 1);
    assert_eq!(edge.deliver("orders/create", "w-1", ORDER).await, 200);
    assert!(edge.take_jobs().await.is_empty(), "not even after the job is gone");
}

#[tokio::test]
async fn a_webhook_without_an_id_is_known_by_topic_and_body() {
    let edge = Edge::start().await;
    for _ in 0..2 {
        assert_eq!(edge.deliver("orders/create", "", ORDER).await, 200);
    }
    let inbox = edge.inbox().await;
    assert_eq!(inbox.len(), 1);
    assert!(inbox[0].webhook_id.starts_with("sha256:orders/create:"), "{}", inbox[0].webhook_id);
    assert_eq!(edge.take_jobs().await.len(), 1);
}

#[tokio::test]
async fn captured_bytes_under_a_new_id_are_kept_and_not_run() {
    let edge = Edge::start().await;
    for id in ["w-1", "w-2"] {
        assert_eq!(edge.deliver("orders/create", id, ORDER).await, 200);
    }
    let inbox = edge.inbox().await;
    assert_eq!(inbox[1].processing_status, "suspected_replay");
    assert_eq!(inbox[1].replay_of, Some(inbox[0].id));
    assert_eq!(edge.take_jobs().await, [inbox[0].id]);
}

/// Shopify sends `orders/create` and `orders/paid` of an order paid at once with the same bytes.
#[tokio::test]
async fn the_same_bytes_under_another_topic_are_no_replay() {
    let edge = Edge::start().await;
    let topics = ["orders/create", "orders/paid", "orders/updated", "orders/cancelled"];
    for (number, topic) in topics.iter().enumerate() {
        assert_eq!(edge.deliver(topic, &format!("w-{number}"), ORDER).await, 200);
    }
    assert_eq!(edge.statuses().await, ["pending"; 4]);
    assert_eq!(edge.take_jobs().await.len(), 4);
}

#[tokio::test]
async fn the_same_webhook_sent_forty_times_at_once_to_two_processes_is_run_once() {
    let edge = Edge::of(2).await;
    let mut sent = JoinSet::new();
    for _ in 0..40 {
        sent.spawn(edge.delivery("orders/create", "w-1", ORDER).send());
    }
    for answer in sent.join_all().await {
        assert_eq!(answer.expect("the process answers").status(), 200);
    }
    assert_eq!(edge.statuses().await, ["pending"]);
    assert_eq!(edge.take_jobs().await.len(), 1);
}

#[tokio::test]
async fn the_same_bytes_under_forty_ids_at_once_to_two_processes_are_run_once() {
    let edge = Edge::of(2).await;
    let mut sent = JoinSet::new();
    for number in 0..40 {
        sent.spawn(edge.delivery("orders/create", &format!("w-{number}"), ORDER).send());
    }
    for answer in sent.join_all().await {
        assert_eq!(answer.expect("the process answers").status(), 200);
    }
    let mut statuses = edge.statuses().await;
    statuses.sort();
    assert_eq!(statuses[0], "pending");
    assert_eq!(statuses[1..], ["suspected_replay"; 39]);
    assert_eq!(edge.take_jobs().await.len(), 1);
}

#[tokio::test]
async fn an_unknown_topic_is_kept_and_noted_once_a_day() {
    let edge = Edge::start().await;
    for number in 0..3 {
        assert_eq!(edge.deliver("themes/publish", &format!("w-{number}"), format!("{{\"id\":{number}}}")).await, 200);
    }
    assert_eq!(edge.statuses().await, ["ignored"; 3]);
    let notes: Vec<String> = sqlx::query_scalar("select message from raw_ops.ops_events where kind = 'WEBHOOK_UNKNOWN_TOPIC'")
        .fetch_all(edge.pool())
        .await
        .expect("events can be read");
    assert_eq!(notes, ["Shopify sent topic themes/publish, which no job reads"]);
    assert!(edge.take_jobs().await.is_empty());
}

/// The job is there to fail with the reason; the bytes are there to look at.
#[tokio::test]
async fn a_body_that_jsonb_cannot_hold_is_stored_with_its_job() {
    let deep = "[".repeat(2_000) + &"]".repeat(2_000);
    let cases: [(&[u8], &str); 9] = [
        (b"", "the body is not JSON (byte 0)"),
        (b"not json", "the body is not JSON (byte 0)"),
        (b"\xef\xbb\xbf{}", "the body is not JSON (byte 0)"),
        (b"{\"id\":1}\xff", "the body is not UTF-8"),
        (b"{\"id\":1}\x00", "the body is not JSON (byte 8)"),
        (br#"{"name":"\u0000"}"#, "the body contains the escape \\u0000 (byte 9)"),
        (br#"{"name":"\ud83d"}"#, "the body contains half of a surrogate pair (byte 9)"),
        (b"{\"id\":1e999999}", "the body contains a number that numeric cannot hold (byte 6)"),
        (deep.as_bytes(), "the body is nested deeper than 1000 levels"),
    ];
    let edge = Edge::start().await;
    for (number, (body, _)) in cases.iter().enumerate() {
        assert_eq!(edge.deliver("orders/create", &format!("w-{number}"), *body).await, 200);
    }
    let inbox = edge.inbox().await;
    for ((body, reason), row) in cases.iter().zip(&inbox) {
        assert_eq!(row.raw_body, *body);
        assert_eq!((row.payload.as_str(), row.last_error.as_deref()), ("null", Some(*reason)));
        assert_eq!(row.processing_status, "pending");
    }
    assert_eq!(edge.take_jobs().await.len(), cases.len());
}

/// `jsonb` takes what Rust's decoder refuses: that is the job's affair.
#[tokio::test]
async fn a_number_too_large_for_a_float_is_stored_as_it_is() {
    let edge = Edge::start().await;
    assert_eq!(edge.deliver("orders/create", "w-1", "{\"id\":1,\"total\":1e400}").await, 200);
    let row = &edge.inbox().await[0];
    assert!(row.payload.contains("10000000000"), "{}", row.payload);
    assert_eq!(edge.take_jobs().await, [row.id]);
}

#[tokio::test]
async fn one_delivery_that_the_database_refuses_stops_no_other() {
    let edge = Edge::of(2).await;
    sqlx::query("alter table raw_ops.webhook_inbox add constraint no_thirteen check (webhook_id <> 'w-13')")
        .execute(edge.pool())
        .await
        .expect("a constraint can be added");
    let mut sent = JoinSet::new();
    for number in 0..40 {
        let request = edge.delivery("orders/create", &format!("w-{number}"), format!("{{\"id\":{number}}}"));
        sent.spawn(async move { (number, request.send().await.expect("the process answers").status().as_u16()) });
    }
    for (number, status) in sent.join_all().await {
        assert_eq!(status, if number == 13 { 503 } else { 200 }, "w-{number}");
    }
    assert_eq!(edge.take_jobs().await.len(), 39);
    sqlx::query("alter table raw_ops.webhook_inbox drop constraint no_thirteen").execute(edge.pool()).await.expect("it can be dropped");
}

#[tokio::test]
async fn a_database_that_does_not_answer_in_time_is_503_and_the_retry_is_stored() {
    let edge = Edge::start().await;
    let mut blocker = edge.pool().begin().await.expect("a transaction");
    sqlx::query("lock table raw_ops.webhook_inbox in access exclusive mode").execute(&mut *blocker).await.expect("a lock");
    let started = std::time::Instant::now();
    let refused = edge.delivery("orders/create", "w-1", ORDER).send().await.expect("the process answers");
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert!(started.elapsed().as_millis() < 4_000, "Shopify waits five seconds");
    blocker.rollback().await.expect("the lock goes");
    assert_eq!(edge.deliver("orders/create", "w-1", ORDER).await, 200);
    assert_eq!(edge.take_jobs().await.len(), 1);
}

#[tokio::test]
async fn a_refused_request_leaves_nothing_behind() {
    let edge = Edge::start().await;
    let unsigned = edge.delivery("orders/create", "w-1", ORDER).body("{}").send().await.expect("the process answers");
    assert_eq!(unsigned.status(), 401);
    let large = edge.delivery("orders/create", "w-2", vec![b' '; (1 << 20) + 1]).send().await;
    assert_eq!(large.expect("the process answers").status(), 413);
    assert!(edge.inbox().await.is_empty());
    assert!(edge.take_jobs().await.is_empty());
}

#[tokio::test]
async fn it_is_ready_only_with_the_schema_it_was_built_for() {
    let edge = Edge::start().await;
    assert_eq!(edge.get("/readyz").await.status(), 200);
    sqlx::query("delete from _sqlx_migrations where version = $1").bind(migrations::newest()).execute(edge.pool()).await.expect("history");
    let unready = edge.get("/readyz").await;
    assert_eq!(unready.status(), 503);
    assert!(unready.text().await.expect("text").contains("rawops migrate"));
    assert_eq!(edge.get("/healthz").await.status(), 200);
}

#[tokio::test]
async fn it_is_not_ready_for_a_database_of_a_newer_program() {
    let edge = Edge::start().await;
    sqlx::query("update _sqlx_migrations set version = 999999 where version = $1")
        .bind(migrations::newest())
        .execute(edge.pool())
        .await
        .expect("history");
    let unready = edge.get("/readyz").await;
    assert_eq!(unready.status(), 503);
    assert!(unready.text().await.expect("text").contains("newer"));
}

#[tokio::test]
async fn metrics_show_deliveries_and_the_queue() {
    let edge = Edge::start().await;
    edge.deliver("orders/create", "w-1", ORDER).await;
    edge.deliver("orders/create", "w-1", ORDER).await;
    let shown = edge.get("/metrics").await.text().await.expect("text");
    let lines: BTreeSet<&str> = shown.lines().collect();
    for line in [
        "rawops_shopify_webhooks_total{result=\"enqueued\"} 1",
        "rawops_shopify_webhooks_total{result=\"duplicate\"} 1",
        "rawops_queue_ready{queue=\"orders\"} 1",
        "rawops_database_up 1",
    ] {
        assert!(lines.contains(line), "{line} is not in\n{shown}");
    }
    edge.take_jobs().await;
}

#[tokio::test]
async fn a_full_queue_refuses_its_own_webhooks_and_no_others() {
    let edge = Edge::start().await;
    assert_eq!(edge.deliver("orders/updated", "first", r#"{"id":1000}"#).await, 200);
    for statement in [
        "insert into engine.queue (name, depth_limit) values ('orders', 1) on conflict (name) do update set depth_limit = 1",
        "select engine.measure_figures()",
    ] {
        sqlx::query(statement).execute(edge.pool()).await.expect("it is full");
    }
    let mut sent = JoinSet::new();
    for n in 0..40 {
        let topic = if n % 2 == 0 { "orders/updated" } else { "customers/update" };
        let request = edge.delivery(topic, &format!("w-{n}"), format!("{{\"id\":{n}}}"));
        sent.spawn(async move { (topic, request.send().await.expect("the process answers").status().as_u16()) });
    }
    let answers = sent.join_all().await;
    let of = |wanted: &str| answers.iter().filter(|(topic, _)| *topic == wanted).map(|(_, status)| *status).collect::<BTreeSet<_>>();
    assert_eq!((of("orders/updated"), of("customers/update")), (BTreeSet::from([503]), BTreeSet::from([200])));
}
