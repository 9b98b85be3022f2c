//! What happens to an order after it was placed.

use chrono::{DateTime, Duration, Utc};
use rand::RngExt;
use rand::rngs::StdRng;

use super::people::{Address, address};

/// An order as it stands after an event.
#[derive(Debug, Clone)]
pub struct Version {
    /// Grows with each version.
    pub updated_at: DateTime<Utc>,
    /// Shopify's `financial_status`.
    pub financial_status: &'static str,
    /// When and why it was cancelled.
    pub cancelled: Option<(DateTime<Utc>, &'static str)>,
    /// What the customer asks for.
    pub note: Option<&'static str>,
    /// Where it goes, once the customer has moved.
    pub moved_to: Option<Address>,
    /// The webhooks that this version sends, each with the same body.
    pub topics: Vec<&'static str>,
}

/// Draws the versions of an order, oldest first.
pub fn draw(random: &mut StdRng, created_at: DateTime<Utc>) -> Vec<Version> {
    let waits_for_money = random.random_bool(0.15);
    let mut versions = vec![placed(random, created_at, waits_for_money)];
    if waits_for_money && random.random_bool(0.9) {
        let paid = Version { financial_status: "paid", ..next(random, &versions) };
        versions.push(Version { topics: vec!["orders/paid", "orders/updated"], ..paid });
    }
    match random.random_range(0..100) {
        0..=9 => {
            let noted = next(random, &versions);
            versions.push(Version { note: Some("Leave behind the blue bin – beware of the goose"), ..noted });
        }
        10..=14 => {
            let moved = next(random, &versions);
            versions.push(Version { moved_to: Some(address(random)), ..moved });
        }
        15..=19 => versions.push(cancelled(random, &versions)),
        _ => {}
    }
    versions
}

fn placed(random: &mut StdRng, created_at: DateTime<Utc>, waits_for_money: bool) -> Version {
    let mut topics = vec!["orders/create"];
    if !waits_for_money && random.random_bool(0.5) {
        topics.push("orders/paid");
    }
    Version {
        updated_at: created_at + Duration::seconds(random.random_range(0..3)),
        financial_status: if waits_for_money { "pending" } else { "paid" },
        cancelled: None,
        note: None,
        moved_to: None,
        topics,
    }
}

/// The last version, some time later.
fn next(random: &mut StdRng, versions: &[Version]) -> Version {
    let last = versions.last().expect("an order is placed first");
    Version { updated_at: last.updated_at + Duration::seconds(random.random_range(1..90)), topics: vec!["orders/updated"], ..last.clone() }
}

fn cancelled(random: &mut StdRng, versions: &[Version]) -> Version {
    let next = next(random, versions);
    let financial_status = if next.financial_status == "paid" { "refunded" } else { "voided" };
    let reason = if random.random_bool(0.8) { "customer" } else { "inventory" };
    Version { financial_status, cancelled: Some((next.updated_at, reason)), topics: vec!["orders/cancelled", "orders/updated"], ..next }
}
