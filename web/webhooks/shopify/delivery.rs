//! One verified delivery, with what its headers claim.
//!
//! The signature covers the body alone, so every header is a claim: good
//! enough to tell repetitions apart and to file the row, never to decide over
//! money.

use std::fmt::Write;

use axum::body::Bytes;
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use engine::trace::TraceParent;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::trace::TRACE_PARENT;
use crate::webhooks::claim::short;

/// Topics that a job reads; `raw_ops.webhook_kind` says which. The body of all that begin with `orders/` is an order.
pub const TOPICS: [&str; 14] = [
    "orders/create",
    "orders/paid",
    "orders/updated",
    "orders/cancelled",
    "orders/fulfilled",
    "orders/partially_fulfilled",
    "refunds/create",
    "fulfillments/create",
    "fulfillments/update",
    "customers/create",
    "customers/update",
    "customers/data_request",
    "customers/redact",
    "shop/redact",
];

/// A delivery as the inbox stores it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// `X-Shopify-Topic`, or `unknown`.
    pub topic: String,
    /// The shop whose secret the signature was made with.
    pub shop: String,
    /// `X-Shopify-Webhook-Id`: the same on each retry. Without the header it
    /// is made from topic and body, so that a retry is still known.
    pub webhook_id: String,
    /// `X-Shopify-Event-Id`: shared by all deliveries of one action.
    pub event_id: Option<String>,
    /// `X-Shopify-Triggered-At`: when it fired, not when it was sent.
    pub triggered_at: Option<DateTime<Utc>>,
    /// The headers worth keeping, without the signature.
    pub headers: Value,
    /// The body, byte for byte.
    pub body: Bytes,
    /// SHA-256 of the body.
    pub body_sha256: [u8; 32],
    /// The order that the body is about, as far as it can be read.
    pub order_id: Option<i64>,
    /// The order's number as customers see it.
    pub order_number: Option<String>,
}

impl Delivery {
    /// Files the delivery. It never fails: what cannot be read is left out,
    /// and the job that parses the body says why.
    pub fn new(shop: &str, headers: &HeaderMap, body: Bytes) -> Self {
        let topic = short(headers, "x-shopify-topic").unwrap_or_else(|| "unknown".into());
        let body_sha256: [u8; 32] = Sha256::digest(&body).into();
        let (order_id, order_number) = order_of(&topic, &body);
        Self {
            shop: shop.to_owned(),
            webhook_id: short(headers, "x-shopify-webhook-id").unwrap_or_else(|| made_id(&topic, &body_sha256)),
            event_id: short(headers, "x-shopify-event-id"),
            triggered_at: short(headers, "x-shopify-triggered-at")
                .and_then(|text| DateTime::parse_from_rfc3339(&text).ok())
                .map(|time| time.to_utc()),
            headers: kept(headers, engine::trace::current()),
            body,
            body_sha256,
            order_id,
            order_number,
            topic,
        }
    }

    /// Whether a job reads webhooks of this topic.
    pub fn is_read(&self) -> bool {
        TOPICS.contains(&self.topic.as_str())
    }
}

fn made_id(topic: &str, body_sha256: &[u8]) -> String {
    let mut id = format!("sha256:{topic}:");
    for byte in body_sha256 {
        write!(id, "{byte:02x}").expect("a string takes what is written");
    }
    id
}

/// The trace is kept with them, for the row's trigger to hand on to the job.
fn kept(headers: &HeaderMap, trace: Option<TraceParent>) -> Value {
    let mut kept = Map::new();
    if let Some(trace) = trace {
        kept.insert(TRACE_PARENT.into(), trace.text().into());
    }
    for name in headers.keys() {
        let of_shopify = name.as_str().starts_with("x-shopify-") && name != super::SIGNATURE;
        if !of_shopify && !matches!(name.as_str(), "content-type" | "user-agent") {
            continue;
        }
        let values: Vec<_> = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        kept.insert(name.as_str().to_owned(), values.join(", ").into());
    }
    Value::Object(kept)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OrderClaim {
    id: Value,
    order_id: Value,
    order_number: Value,
}

fn order_of(topic: &str, body: &[u8]) -> (Option<i64>, Option<String>) {
    let order: OrderClaim = serde_json::from_slice(body).unwrap_or_default();
    if topic.starts_with("orders/") {
        let number = order.order_number.as_i64().map(|number| number.to_string());
        (order.id.as_i64(), number)
    } else {
        (order.order_id.as_i64(), None)
    }
}
