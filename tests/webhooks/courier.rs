//! Scans of parcels over HTTP: what is signed and dated now is stored once, with its job.

use serde_json::json;
use web::webhooks::courier::PATH;

use super::edge::{COURIER_SECRET, COURIER_SECRET_BEFORE, Edge};
use crate::orders::inbox::{count, row};

const SCAN: &str = r#"{"tracking_no":"15500000000001","event_code":"015","event_time":"2026-01-15 07:12:00"}"#;

fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

async fn deliver(edge: &Edge, secret: &str, at: i64, body: &str) -> u16 {
    edge.adapt(PATH, "application/json", secret, at, body).await
}

#[tokio::test]
async fn only_what_is_signed_with_a_live_secret_and_dated_now_is_stored_once() {
    let edge = Edge::start().await;
    for (secret, at, status) in [
        (COURIER_SECRET, now() - 400, 401),
        (COURIER_SECRET, now() + 400, 401),
        ("another", now(), 401),
        (COURIER_SECRET, now() - 200, 200),
        (COURIER_SECRET_BEFORE, now(), 200),
    ] {
        assert_eq!(deliver(&edge, secret, at, SCAN).await, status, "{secret} {at}");
    }
    let stored = "select source, topic, processing_status, hmac_verified, raw_payload ->> 'event_code' as code from raw_ops.webhook_inbox";
    let expected =
        json!({ "source": "courier", "topic": "tracking/event", "processing_status": "pending", "hmac_verified": true, "code": "015" });
    assert_eq!(row(edge.pool(), stored).await, expected);
    assert_eq!(
        row(edge.pool(), "select kind, queue from engine.job_state").await,
        json!({ "kind": "couriers.record_event", "queue": "couriers" })
    );
    assert_eq!(edge.take_jobs().await.len(), 1);
}

#[tokio::test]
async fn what_is_no_document_is_kept_with_its_job_to_say_so() {
    let edge = Edge::start().await;
    for body in ["no json", "{\"tracking_no\":\"\\u0000\"}"] {
        assert_eq!(deliver(&edge, COURIER_SECRET, now(), body).await, 200);
    }
    assert_eq!(
        count(edge.pool(), "raw_ops.webhook_inbox where raw_payload = 'null' and last_error is not null and raw_body is not null").await,
        2
    );
    assert_eq!(edge.take_jobs().await.len(), 2);
}
