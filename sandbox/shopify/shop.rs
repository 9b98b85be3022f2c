//! The shop: everything about its orders follows from its seed.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Timelike, Utc};
use rand::RngExt;
use rand::rngs::StdRng;

use super::delivery::{Delivery, Kind, fresh_id, with_faults};
use super::document;
use super::ledger::Truth;
use super::options::{Faults, Options};
use super::order::{Buyer, Order};
use super::people::person;
use super::story::{self, Version};
use crate::chance;

/// Above 2^53 a number is no longer exact in JavaScript; Shopify's ids go there.
const LARGE_IDS: i64 = 820_000_000_000_000_000;
const IDS: i64 = 5_000_000_000_000;

/// What a random stream is for: each has its own, so that one draw more in
/// one of them moves nothing in the others.
#[derive(Clone, Copy)]
enum Stream {
    Shop,
    Order,
    Customer,
    Faults,
}

/// A shop that can tell each of its orders at any time.
#[derive(Debug, Clone)]
pub struct Shop {
    seed: u64,
    opening: DateTime<Utc>,
    spacing: Duration,
    id_block: i64,
}

/// An order with all that happens to it.
pub(super) struct Placed {
    order: Order,
    versions: Vec<Version>,
}

impl Shop {
    /// The shop of this seed; order `n` is placed `n` spacings after the opening.
    pub fn new(seed: u64, opening: DateTime<Utc>, spacing: Duration) -> Self {
        let opening = opening.with_nanosecond(0).unwrap_or(opening);
        let mut shop = Self { seed, opening, spacing, id_block: 0 };
        shop.id_block = shop.random(Stream::Shop, 0).random_range(0..1_000_000) * 1_000_000_000;
        shop
    }

    /// The shop that these options describe.
    pub fn of(options: &Options) -> Self {
        let spacing = Duration::try_from_secs_f64(1.0 / options.rate).unwrap_or(Duration::MAX);
        Self::new(options.seed, options.opening, spacing)
    }

    /// The webhooks of order `n`, in the order in which they go out.
    pub fn deliveries(&self, n: u64, faults: &Faults) -> Vec<Delivery> {
        let placed = self.place(n);
        let mut random = self.random(Stream::Faults, n);
        let mut sent = Vec::new();
        for (version, state) in placed.versions.iter().enumerate() {
            let body: Arc<[u8]> = document::render(&placed.order, state).into();
            let event_id = fresh_id(&mut random);
            for topic in &state.topics {
                sent.push(Delivery {
                    order_id: placed.order.id,
                    topic,
                    webhook_id: fresh_id(&mut random),
                    event_id,
                    triggered_at: state.updated_at,
                    body: Arc::clone(&body),
                    version,
                    kind: Kind::Original,
                });
            }
        }
        with_faults(&mut random, faults, sent)
    }

    /// What order `n` looks like after each of its versions, oldest first.
    pub fn truths(&self, n: u64) -> Vec<Truth> {
        let placed = self.place(n);
        placed.versions.iter().map(|version| Truth::of(&placed.order, version)).collect()
    }

    pub(super) fn place(&self, n: u64) -> Placed {
        let mut random = self.random(Stream::Order, n);
        let offset = self.spacing.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
        let created_at = chrono::Duration::from_std(offset)
            .ok()
            .and_then(|offset| self.opening.checked_add_signed(offset))
            .and_then(|moment| moment.with_nanosecond(0))
            .unwrap_or(self.opening);
        let base = if random.random_bool(0.1) { LARGE_IDS } else { IDS };
        let id = base + self.id_block + n as i64;
        let buyer = self.buyer(&mut random, n);
        let order = Order::draw(&mut random, id, 1_001 + n, created_at, buyer);
        let versions = story::draw(&mut random, created_at);
        Placed { order, versions }
    }

    /// Customers come back: there are about a third as many as orders.
    fn buyer(&self, random: &mut StdRng, n: u64) -> Buyer {
        let number = random.random_range(0..20 + n / 3);
        let person = person(&mut self.random(Stream::Customer, number), number);
        let known = 7_000_000_000_000 + self.id_block + number as i64;
        let (customer_id, email) = match random.random_range(0..100) {
            0..=2 => (None, String::new()),
            3..=6 => (None, person.email.clone()),
            7..=8 => (Some(known), format!("orders+{}", person.email)),
            _ => (Some(known), person.email.clone()),
        };
        Buyer { person, customer_id, email }
    }

    fn random(&self, stream: Stream, place: u64) -> StdRng {
        chance::stream(self.seed, place, stream as u8)
    }
}
