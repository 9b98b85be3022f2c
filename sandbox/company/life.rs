//! The life of a subscription: what each billing day brings until it ends.

use chrono::{DateTime, Duration, Utc};
use rand::RngExt;

use super::draws::{Draws, Theme};
use crate::shopify::order::{self, Line};
use crate::shopify::people::pick;

/// Days after which a payment that still fails ends the subscription.
pub const DUNNING_DAYS: i64 = 10;

/// Where a subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It bills.
    Active,
    /// It bills again some day.
    Paused,
    /// It has ended.
    Cancelled,
}

/// A box that comes again.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Its place in the company's sequence.
    pub number: u64,
    /// Whose it is.
    pub customer: u64,
    /// Weeks between boxes.
    pub weeks: u8,
    /// When it began.
    pub began: DateTime<Utc>,
    /// Where it stands.
    pub standing: Standing,
    /// When it stands there since.
    pub since: DateTime<Utc>,
    /// The next billing; of a paused one, the day it goes on.
    pub next: DateTime<Utc>,
    /// Billings so far, those that failed or were skipped included.
    pub cycle: u32,
    /// The payment that is failing.
    pub failing: Option<Failing>,
    /// Payments that failed, ever.
    pub failures: u32,
    /// Boxes that were skipped.
    pub skips: u32,
    /// The last failure.
    pub failed_at: Option<DateTime<Utc>>,
}

/// A payment that is being tried again.
#[derive(Debug, Clone, Copy)]
pub struct Failing {
    /// The first failure.
    pub since: DateTime<Utc>,
    /// What the bank says.
    pub reason: usize,
    /// Whether the card is renewed in the end.
    pub recovers: bool,
}

/// What a billing day brings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Turn {
    /// The card is charged and an order made.
    Pays,
    /// The card is refused.
    Fails { reason: usize, days: i64, recovers: bool },
    /// The customer leaves out one box.
    Skips,
    /// The customer stops for some days.
    Pauses { days: i64 },
    /// The customer ends it.
    Cancels,
}

/// Codes and words of refused cards.
pub const REFUSALS: [(&str, &str); 4] = [
    ("INSUFFICIENT_FUNDS", "The card has insufficient funds"),
    ("EXPIRED_PAYMENT_METHOD", "The card has expired"),
    ("PAYMENT_METHOD_DECLINED", "The card was declined"),
    ("AUTHENTICATION_ERROR", "The payment needs the customer's authentication"),
];

impl Subscription {
    /// One that begins with its first order, billed at that moment.
    pub fn begin(draws: Draws, number: u64, customer: u64, began: DateTime<Utc>) -> Self {
        let weeks = pick(&mut draws.stream(Theme::Subscription, number), &[2, 4, 4, 4, 4, 6, 8]);
        Self {
            number,
            customer,
            weeks,
            began,
            standing: Standing::Active,
            since: began,
            next: began + Duration::weeks(weeks.into()),
            cycle: 1,
            failing: None,
            failures: 0,
            skips: 0,
            failed_at: None,
        }
    }

    /// What comes in the box: the same products each time.
    pub fn lines(&self, draws: Draws) -> Vec<Line> {
        let mut random = draws.stream(Theme::Subscription, self.number);
        let mut lines = order::lines(&mut random);
        lines.retain(|line| line.product.is_some());
        lines
    }

    /// What its next billing day brings; the same however often it is asked.
    pub fn turn(&self, draws: Draws) -> Turn {
        self.turn_at(draws, self.cycle)
    }

    /// What the billing day of a cycle brings.
    pub fn turn_at(&self, draws: Draws, cycle: u32) -> Turn {
        let mut random = draws.stream(Theme::Cycle, (self.number << 12) + u64::from(cycle));
        match random.random_range(0..1_000) {
            0..=24 => Turn::Skips,
            25..=37 => Turn::Pauses { days: random.random_range(14..70) },
            38..=92 => Turn::Cancels,
            93..=134 => {
                let recovers = random.random_bool(0.85);
                let days = if recovers { random.random_range(1..DUNNING_DAYS) } else { DUNNING_DAYS };
                Turn::Fails { reason: random.random_range(0..REFUSALS.len()), days, recovers }
            }
            _ => Turn::Pays,
        }
    }
}
