//! Seal's webhooks, from a signed request to the subscription.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use sha2::Sha256;
use web::webhooks::seal::{PATH, TOPICS};

use super::edge::{Edge, SEAL_SECRET, SEAL_SECRET_BEFORE};
use crate::orders::inbox::{count, row};
use crate::subscriptions::subscription;
use crate::support::{Outside, run_due_on, shelf::rows};

fn sign(secret: &str, body: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key length");
    mac.update(body);
    mac.finalize().into_bytes().to_vec()
}

fn request(edge: &Edge, topic: &str, signature: &str, body: impl Into<Vec<u8>>) -> RequestBuilder {
    let request = reqwest::Client::new().post(edge.url(PATH)).header("content-type", "application/json; charset=utf-8");
    request.header("x-seal-topic", topic).header("x-seal-hmac-sha256", signature).body(body.into())
}

async fn deliver(edge: &Edge, topic: &str, body: &str) -> u16 {
    let signature = STANDARD.encode(sign(SEAL_SECRET, body.as_bytes()));
    request(edge, topic, &signature, body).send().await.expect("the process answers").status().as_u16()
}

async fn inbox(edge: &Edge) -> Value {
    rows(edge.pool(), "select webhook_topic, seal_subscription_id, processing_status from raw_ops.seal_webhook_inbox order by received_at")
        .await
}

#[tokio::test]
async fn only_what_is_signed_in_base64_with_a_live_secret_is_taken() {
    let edge = Edge::start().await;
    let body = subscription(json!({})).to_string();
    let hex = sign(SEAL_SECRET, body.as_bytes()).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    for (signature, status) in [
        (STANDARD.encode(sign("another", body.as_bytes())), 401),
        (hex, 401),
        (String::new(), 401),
        (STANDARD.encode(sign(SEAL_SECRET, b"other bytes")), 401),
        (STANDARD.encode(sign(SEAL_SECRET_BEFORE, body.as_bytes())), 200),
    ] {
        let answer = request(&edge, "subscription/updated", &signature, body.clone()).send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{signature}");
    }
    assert_eq!(inbox(&edge).await, json!([["subscription/updated", "8458680", "pending"]]));
    edge.take_jobs().await;
}

#[tokio::test]
async fn topic_and_bytes_are_what_makes_a_webhook_known() {
    let edge = Edge::of(2).await;
    let body = subscription(json!({})).to_string();
    let mut sent = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let signature = STANDARD.encode(sign(SEAL_SECRET, body.as_bytes()));
        sent.spawn(request(&edge, "subscription/updated", &signature, body.clone()).send());
    }
    for answer in sent.join_all().await {
        assert_eq!(answer.expect("an answer").status(), 200);
    }
    assert_eq!(deliver(&edge, "subscription/created", &body).await, 200);
    assert_eq!(deliver(&edge, "subscription/updated", &format!("{body} ")).await, 200);
    assert_eq!(count(edge.pool(), "raw_ops.seal_webhook_inbox where processing_status = 'pending'").await, 3);
    let key = "select idempotency_key = encode(sha256(convert_to('subscription/updated', 'UTF8') || raw_body), 'hex') as named
               from raw_ops.seal_webhook_inbox where webhook_topic = 'subscription/updated' limit 1";
    assert_eq!(row(edge.pool(), key).await, json!({ "named": true }));
    assert_eq!(edge.take_jobs().await.len(), 3);
}

#[tokio::test]
async fn every_topic_with_a_subscription_becomes_a_job_and_another_is_kept_and_told() {
    let edge = Edge::start().await;
    for topic in TOPICS {
        assert_eq!(deliver(&edge, topic, &subscription(json!({ "note": topic })).to_string()).await, 200);
    }
    assert_eq!(deliver(&edge, "subscription_rule/updated", r#"{"id":1}"#).await, 200);
    assert_eq!(edge.take_jobs().await.len(), TOPICS.len());
    assert_eq!(count(edge.pool(), "raw_ops.seal_webhook_inbox where processing_status = 'ignored'").await, 1);
    let alert = row(edge.pool(), "select severity, title from raw_ops.alert_log").await;
    assert_eq!(alert, json!({ "severity": "warning", "title": "Seal sends topic subscription_rule/updated, which no job reads" }));
}

#[tokio::test]
async fn a_body_that_jsonb_cannot_hold_is_kept_and_a_name_with_nul_is_taken() {
    let (edge, outside) = (Edge::start().await, Outside::start().await);
    let named = subscription(json!({ "first_name": "A\u{0}B" })).to_string();
    for body in [named.as_str(), "no json", "\u{feff}{}"] {
        assert_eq!(deliver(&edge, "subscription/updated", body).await, 200, "{body}");
    }
    run_due_on(edge.pool(), outside.kinds()).await;
    let ends = rows(
        edge.pool(),
        "select processing_status, last_error, raw_body is not null from raw_ops.seal_webhook_inbox order by received_at",
    )
    .await;
    assert_eq!(
        ends,
        json!([
            ["success", null, true],
            ["failed", "the body is not JSON (byte 0)", true],
            ["failed", "the body is not JSON (byte 0)", true]
        ])
    );
    assert_eq!(row(edge.pool(), "select first_name from raw_ops.customers").await, json!({ "first_name": "AB" }));
}

/// The cases that were captured, where the collection of them is beside the project: each as it came, twice.
#[tokio::test]
async fn every_captured_case_ends_as_it_should() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/fixtures/seal/webhooks.json");
    let Ok(text) = fs::read_to_string(path) else { return };
    let all: Value = serde_json::from_str(&text).expect("the cases are JSON");
    let (edge, outside) = (Edge::start().await, Outside::start().await);
    let cases = all["cases"].as_object().expect("cases by name");
    for (name, case) in cases {
        let topic = case["headers"]["X-Seal-Topic"].as_str().expect("a topic");
        for _ in 0..2 {
            assert_eq!(deliver(&edge, topic, &case["body"].to_string()).await, 200, "{name}");
        }
    }
    run_due_on(edge.pool(), outside.kinds()).await;
    let ends = rows(edge.pool(), "select processing_status, count(*) from raw_ops.seal_webhook_inbox group by 1 order by 1").await;
    assert_eq!(ends, json!([["failed", 1], ["success", cases.len() - 1]]));
    let stands = row(
        edge.pool(),
        "select status, payment_status, failed_payment_count as failures, price_gbp::text as price from raw_ops.subscriptions",
    )
    .await;
    // The pause is the newest change of them all, and the fourth try the last of its payment.
    assert_eq!(stands, json!({ "status": "paused", "payment_status": "failed", "failures": 4, "price": "89.00" }));
    assert_eq!(count(edge.pool(), "raw_ops.billing_attempts where status = 'failed' and retry_count = 3").await, 1);
}
