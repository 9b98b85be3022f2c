//! The webhooks that an order sends, in the order in which they go out.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rand::RngExt;
use rand::rngs::StdRng;
use uuid::{Builder, Uuid};

use super::options::Faults;

/// One webhook to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The order it is about.
    pub order_id: i64,
    /// `X-Shopify-Topic`.
    pub topic: &'static str,
    /// `X-Shopify-Webhook-Id`: the same on each retry.
    pub webhook_id: Uuid,
    /// `X-Shopify-Event-Id`: the same for all webhooks of one event.
    pub event_id: Uuid,
    /// `X-Shopify-Triggered-At`.
    pub triggered_at: DateTime<Utc>,
    /// The bytes that are signed.
    pub body: Arc<[u8]>,
    /// Place of the body among the order's versions, oldest first.
    pub version: usize,
    /// Whether it is sent for the first time.
    pub kind: Kind,
}

/// Why a webhook is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something happened.
    Original,
    /// The network or Shopify repeats it.
    Duplicate,
    /// Somebody who captured it repeats it under a new webhook id.
    Replay,
}

/// Puts faults of delivery into the webhooks of one order.
pub fn with_faults(random: &mut StdRng, faults: &Faults, mut sent: Vec<Delivery>) -> Vec<Delivery> {
    if random.random_bool(faults.out_of_order) {
        sent.reverse();
    }
    let mut plan = Vec::with_capacity(sent.len());
    for delivery in &sent {
        plan.push(delivery.clone());
        if random.random_bool(faults.duplicate) {
            plan.push(Delivery { kind: Kind::Duplicate, ..delivery.clone() });
        }
    }
    for delivery in sent {
        if random.random_bool(faults.replay) {
            plan.push(Delivery { webhook_id: fresh_id(random), event_id: fresh_id(random), kind: Kind::Replay, ..delivery });
        }
    }
    plan
}

/// A random identifier out of the seed.
pub fn fresh_id(random: &mut StdRng) -> Uuid {
    Builder::from_random_bytes(random.random()).into_uuid()
}
