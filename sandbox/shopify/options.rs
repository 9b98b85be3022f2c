//! How the shop behaves.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::admin::Admin;

/// Settings of a sandbox.
#[derive(Debug, Clone)]
pub struct Options {
    /// The same seed gives the same orders.
    pub seed: u64,
    /// Orders a second; each sends one webhook or more.
    pub rate: f64,
    /// Where the webhooks go.
    pub url: String,
    /// The secret that signs them.
    pub secret: String,
    /// The shop's name, as `raw-sandbox.myshopify.com`.
    pub shop_domain: String,
    /// Stop after so many orders; `None` goes on until shutdown.
    pub count: Option<u64>,
    /// The first order's place in the shop's sequence: a shop that was
    /// stopped goes on where it was.
    pub first: u64,
    /// When order 0 is placed; the others follow at the rate.
    pub opening: DateTime<Utc>,
    /// What goes wrong on the way.
    pub faults: Faults,
    /// The longest pause between two webhooks of one order.
    pub gap: Duration,
    /// The pause before the first retry; each next one is twice as long.
    /// Shopify spreads eight retries over four hours.
    pub retry_after: Duration,
    /// Orders whose webhooks are under way at a time.
    pub in_flight: usize,
    /// The shop's API, which knows of each order and customer before a webhook tells of it.
    pub admin: Option<Admin>,
}

impl Options {
    /// A shop that sends one order a second to `url`, with a few faults.
    pub fn new(url: &str, secret: &str, shop_domain: &str) -> Self {
        Self {
            seed: 1,
            rate: 1.0,
            url: url.into(),
            secret: secret.into(),
            shop_domain: shop_domain.into(),
            count: None,
            first: 0,
            opening: Utc::now(),
            faults: Faults::default(),
            gap: Duration::from_millis(200),
            retry_after: Duration::from_millis(200),
            in_flight: 256,
            admin: None,
        }
    }
}

/// How often a fault of delivery happens, from 0 (never) to 1 (always).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Faults {
    /// A webhook is sent twice under one webhook id.
    pub duplicate: f64,
    /// An order's webhooks arrive newest first.
    pub out_of_order: f64,
    /// Somebody sends captured bytes again under a new webhook id.
    pub replay: f64,
}

impl Faults {
    /// A shop and a network without fault.
    pub const NONE: Self = Self { duplicate: 0.0, out_of_order: 0.0, replay: 0.0 };
}

impl Default for Faults {
    fn default() -> Self {
        Self { duplicate: 0.05, out_of_order: 0.05, replay: 0.01 }
    }
}
