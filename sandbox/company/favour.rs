//! Credit that customers hold: for friends they brought, and for boxes that came late.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};

use super::placed::Placed;

/// For a friend's first delivered order, in pence.
pub const REWARD: i64 = 1_500;
const GOOD_FOR: Duration = Duration::days(365);

/// Why credit was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A friend's order was delivered.
    Referral,
    /// A ticket about an order.
    Goodwill,
}

/// Credit for a later order.
#[derive(Debug, Clone, Copy)]
pub struct Credit {
    /// Who holds it.
    pub customer: u64,
    /// Since when.
    pub given: DateTime<Utc>,
    /// How much was given.
    pub pence: i64,
    /// Why.
    pub cause: Cause,
    /// The order that it was given for.
    pub order: u64,
    /// The order that it was used for, how much of it, and when.
    pub used: Option<(u64, i64, DateTime<Utc>)>,
}

impl Credit {
    /// When it can no longer be used.
    pub fn expires(&self) -> DateTime<Utc> {
        self.given + GOOD_FOR
    }
}

/// All credit of the company.
#[derive(Debug, Default)]
pub struct Favours {
    /// Every credit, in the order in which the orders were placed that they were given for.
    pub credits: Vec<Credit>,
    unused: BTreeMap<u64, Vec<usize>>,
}

impl Favours {
    /// Gives credit.
    pub fn give(&mut self, credit: Credit) {
        self.unused.entry(credit.customer).or_default().push(self.credits.len());
        self.credits.push(credit);
    }

    /// Uses credit that the customer holds for a sold order. Returns its place and how much of it is used.
    pub fn apply(&mut self, order: &Placed) -> Option<(usize, i64)> {
        let held = self.unused.get_mut(&order.customer)?;
        let first = held.iter().position(|place| {
            let credit = &self.credits[*place];
            credit.given <= order.at && order.at < credit.expires()
        })?;
        let place = held.remove(first);
        let credit = &mut self.credits[place];
        let pence = credit.pence.min(order.cart().totals().total);
        credit.used = Some((order.number, pence, order.at));
        Some((place, pence))
    }
}
