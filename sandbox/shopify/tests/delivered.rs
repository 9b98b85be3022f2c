//! Deliveries to a receiver that keeps, refuses or never takes them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::shopify::{Faults, Handle, Options, Sandbox, sign};

/// A receiver that keeps the newest version of each order and refuses every
/// `refuse_every`th request.
#[derive(Default)]
struct Receiver {
    refuse_every: u64,
    requests: AtomicU64,
    orders: Mutex<BTreeMap<i64, (DateTime<Utc>, String)>>,
    webhook_ids: Mutex<BTreeMap<String, u64>>,
}

async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let text = |name: &str| headers[name].to_str().expect("the header is text").to_owned();
    assert_eq!(text("x-shopify-hmac-sha256"), sign("hush", &body));
    assert_eq!(text("x-shopify-shop-domain"), "raw.myshopify.com");
    *receiver.webhook_ids.lock().expect("no panic").entry(text("x-shopify-webhook-id")).or_default() += 1;
    let count = receiver.requests.fetch_add(1, Ordering::Relaxed) + 1;
    if receiver.refuse_every > 0 && count.is_multiple_of(receiver.refuse_every) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let order: Value = serde_json::from_slice(&body).expect("an order is JSON");
    let updated_at: DateTime<Utc> = order["updated_at"].as_str().and_then(|at| at.parse().ok()).expect("a moment");
    let status = order["financial_status"].as_str().expect("a status").to_owned();
    let mut orders = receiver.orders.lock().expect("no panic");
    let known = orders.entry(order["id"].as_i64().expect("an id")).or_default();
    if known.0 < updated_at {
        *known = (updated_at, status);
    }
    StatusCode::OK
}

async fn serve(receiver: Arc<Receiver>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    let router = Router::new().route("/hook", post(receive)).with_state(receiver);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/hook")
}

async fn run(receiver: &Arc<Receiver>, faults: Faults) -> Handle {
    let url = serve(Arc::clone(receiver)).await;
    let options = Options {
        rate: 2_000.0,
        count: Some(200),
        gap: Duration::ZERO,
        retry_after: Duration::from_millis(1),
        faults,
        ..Options::new(&url, "hush", "raw.myshopify.com")
    };
    let handle = Sandbox::start(options, CancellationToken::new()).expect("a client");
    handle.finished().await;
    handle
}

#[tokio::test]
async fn every_order_arrives_signed_and_the_ledger_agrees() {
    let receiver = Arc::new(Receiver::default());
    let handle = run(&receiver, Faults { duplicate: 0.3, out_of_order: 0.5, replay: 0.2 }).await;
    let counters = handle.counters();
    assert_eq!(counters.orders, 200);
    assert_eq!(counters.sent, counters.accepted);
    assert_eq!(counters.sent, receiver.requests.load(Ordering::Relaxed));
    let arrived = receiver.orders.lock().expect("no panic").clone();
    let ledger = handle.ledger();
    assert_eq!(arrived.len(), ledger.len());
    for (id, truth) in ledger {
        assert_eq!(arrived[&id], (truth.updated_at, truth.financial_status.to_owned()));
    }
    assert!(handle.unsettled().is_empty());
}

#[tokio::test]
async fn a_refused_webhook_is_sent_again_under_its_id() {
    let receiver = Arc::new(Receiver { refuse_every: 5, ..Receiver::default() });
    let handle = run(&receiver, Faults::NONE).await;
    let counters = handle.counters();
    assert!(counters.rejected > 30, "{counters:?}");
    assert_eq!(counters.sent, counters.accepted + counters.rejected);
    assert_eq!((counters.given_up, counters.orders), (0, 200));
    let ids = receiver.webhook_ids.lock().expect("no panic");
    assert_eq!(ids.len() as u64, counters.accepted);
    assert_eq!(ids.values().sum::<u64>(), counters.sent);
}

#[tokio::test]
async fn what_is_never_accepted_is_given_up_and_reported() {
    let receiver = Arc::new(Receiver { refuse_every: 1, ..Receiver::default() });
    let url = serve(Arc::clone(&receiver)).await;
    let options = Options {
        count: Some(1),
        gap: Duration::ZERO,
        retry_after: Duration::from_micros(10),
        ..Options::new(&url, "hush", "raw.myshopify.com")
    };
    let handle = Sandbox::start(options, CancellationToken::new()).expect("a client");
    handle.finished().await;
    let counters = handle.counters();
    assert_eq!((counters.accepted, counters.orders), (0, 0));
    assert_eq!(counters.sent, 9 * counters.given_up);
    assert_eq!(handle.unsettled().len(), 1);
    assert!(handle.ledger().is_empty());
}

#[tokio::test]
async fn shutdown_stops_a_shop_without_a_count() {
    let receiver = Arc::new(Receiver::default());
    let url = serve(Arc::clone(&receiver)).await;
    let shutdown = CancellationToken::new();
    let options = Options { rate: 500.0, ..Options::new(&url, "hush", "raw.myshopify.com") };
    let handle = Sandbox::start(options, shutdown.clone()).expect("a client");
    while handle.counters().orders < 5 {
        tokio::task::yield_now().await;
    }
    shutdown.cancel();
    handle.finished().await;
    let counters = handle.counters();
    assert_eq!(counters.sent, counters.accepted);
}
