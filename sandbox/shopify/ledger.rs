//! What was sent, what was accepted, and what must therefore be true.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::order::Order;
use super::story::Version;

/// How an order must look once everything sent was processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// Shopify's id.
    pub order_id: i64,
    /// Name as customers see it, as `#1001`.
    pub name: String,
    /// Of the newest version.
    pub updated_at: DateTime<Utc>,
    /// What the customer pays, VAT included, in [`currency`](Self::currency).
    pub total: Decimal,
    /// VAT inside the total.
    pub tax: Decimal,
    /// The shop's currency.
    pub currency: &'static str,
    /// Number of lines.
    pub lines: usize,
    /// Units over all lines.
    pub units: i64,
    /// Shopify's `financial_status`.
    pub financial_status: &'static str,
    /// Whether it was cancelled.
    pub is_cancelled: bool,
    /// Whether it was placed with Shopify's test gateway.
    pub is_test: bool,
}

impl Truth {
    pub(super) fn of(order: &Order, version: &Version) -> Self {
        let totals = order.cart().totals();
        Self {
            order_id: order.id,
            name: format!("#{}", order.number),
            updated_at: version.updated_at,
            total: Decimal::new(totals.total, 2),
            tax: Decimal::new(totals.tax, 2),
            currency: "GBP",
            lines: order.lines.len(),
            units: order.lines.iter().map(|line| line.quantity).sum(),
            financial_status: version.financial_status,
            is_cancelled: version.cancelled.is_some(),
            is_test: order.is_test,
        }
    }
}

/// What happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests sent, retries included.
    pub sent: u64,
    /// Requests answered with 2xx.
    pub accepted: u64,
    /// Requests answered with anything else.
    pub rejected: u64,
    /// Requests without an answer in time.
    pub unanswered: u64,
    /// Webhooks given up after the last retry.
    pub given_up: u64,
    /// Distinct orders of which a webhook was accepted.
    pub orders: u64,
}

/// What became of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 2xx.
    Accepted,
    /// Any other status.
    Rejected,
    /// None in time: whether it was stored is unknown.
    None,
}

#[derive(Default)]
pub struct Ledger {
    sent: AtomicU64,
    accepted: AtomicU64,
    rejected: AtomicU64,
    unanswered: AtomicU64,
    given_up: AtomicU64,
    orders: Mutex<BTreeMap<i64, Entry>>,
}

#[derive(Default)]
struct Entry {
    accepted: Option<Truth>,
    newest_sent: Option<DateTime<Utc>>,
}

impl Ledger {
    /// A request with this version of an order goes out.
    pub fn sends(&self, truth: &Truth) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let mut orders = self.lock();
        let entry = orders.entry(truth.order_id).or_default();
        entry.newest_sent = entry.newest_sent.max(Some(truth.updated_at));
    }

    /// The request was answered, or was not.
    pub fn answered(&self, truth: &Truth, answer: Answer) {
        let counter = match answer {
            Answer::Accepted => &self.accepted,
            Answer::Rejected => &self.rejected,
            Answer::None => &self.unanswered,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if answer != Answer::Accepted {
            return;
        }
        let mut orders = self.lock();
        let known = &mut orders.entry(truth.order_id).or_default().accepted;
        if known.as_ref().is_none_or(|known| known.updated_at < truth.updated_at) {
            *known = Some(truth.clone());
        }
    }

    /// The last retry failed too.
    pub fn gives_up(&self) {
        self.given_up.fetch_add(1, Ordering::Relaxed);
    }

    pub fn counters(&self) -> Counters {
        let orders = self.lock();
        Counters {
            sent: self.sent.load(Ordering::Relaxed),
            accepted: self.accepted.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            unanswered: self.unanswered.load(Ordering::Relaxed),
            given_up: self.given_up.load(Ordering::Relaxed),
            orders: orders.values().filter(|entry| entry.accepted.is_some()).count() as u64,
        }
    }

    /// The newest accepted version of each order.
    pub fn truths(&self) -> BTreeMap<i64, Truth> {
        self.lock().iter().filter_map(|(id, entry)| Some((*id, entry.accepted.clone()?))).collect()
    }

    /// Orders of which a newer version was sent than was ever accepted.
    pub fn unsettled(&self) -> BTreeSet<i64> {
        self.lock()
            .iter()
            .filter(|(_, entry)| entry.newest_sent > entry.accepted.as_ref().map(|truth| truth.updated_at))
            .map(|(id, _)| *id)
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<i64, Entry>> {
        self.orders.lock().expect("no holder of this lock panics")
    }
}
