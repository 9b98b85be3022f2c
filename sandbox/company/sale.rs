//! An order with its batches, its money and where it stands in the end.

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use super::book::Book;
use super::placed::{Fate, Journey, Placed};
use super::stock::Allocation;
use crate::shopify::money::Totals;

/// Days from the door to the refund.
const REFUND_AFTER: Duration = Duration::days(2);

/// What the rows of an order are made of.
pub struct Sale<'a> {
    /// The order.
    pub placed: &'a Placed,
    /// What it got of the stock.
    pub taken: &'a [Allocation],
    /// What it comes to.
    pub totals: Totals,
    /// Its delivery, in pence.
    pub shipping: i64,
    /// Its row.
    pub id: Uuid,
    /// Its customer's row.
    pub customer: Uuid,
    /// Its shipment's row.
    pub shipment: Uuid,
    /// The way of its box, if all of its stock is there.
    pub journey: Option<Journey>,
    /// When it was cancelled.
    pub cancelled: Option<DateTime<Utc>>,
    /// When all of it was refunded after it had left.
    pub refunded: Option<DateTime<Utc>>,
    /// Where it stands.
    pub status: &'static str,
}

impl<'a> Sale<'a> {
    /// The sale of an order.
    pub fn of(book: &Book<'_>, placed: &'a Placed, taken: &'a [Allocation]) -> Self {
        let cart = placed.cart();
        let journey = placed.journey().copied().filter(|_| Self::is_complete(placed, taken));
        let refunded = match placed.fate {
            Fate::Refunded(_) | Fate::Returned(_) => journey.and_then(|journey| book.past(journey.arrived + REFUND_AFTER)),
            _ => None,
        };
        let cancelled = placed.ended(book.until);
        Self {
            totals: cart.totals(),
            shipping: cart.shipping,
            id: book.id("orders", placed.number),
            customer: book.id("customers", placed.customer),
            shipment: book.id("shipments", placed.number),
            status: status(placed, taken, journey.as_ref(), cancelled, refunded, book.until),
            placed,
            taken,
            journey,
            cancelled,
            refunded,
        }
    }

    /// Whether each line has all of its stock.
    pub fn is_complete(placed: &Placed, taken: &[Allocation]) -> bool {
        let units = |line| taken.iter().filter(|taken| taken.line == line).map(|taken| taken.units).sum::<i64>();
        placed.lines.iter().enumerate().all(|(line, wanted)| wanted.product.is_none() || units(line) == wanted.quantity)
    }

    /// When it was paid.
    pub fn paid(&self) -> Option<DateTime<Utc>> {
        (self.placed.fate != Fate::Unpaid).then(|| self.placed.at + Duration::seconds(2))
    }

    /// The way of its box, if the box has left.
    pub fn dispatched(&self, until: DateTime<Utc>) -> Option<&Journey> {
        self.journey.as_ref().filter(|journey| journey.dispatched <= until)
    }

    /// Grams of everything in the box.
    pub fn grams(&self) -> i64 {
        self.placed.lines.iter().map(|line| line.product.map_or(0, |product| i64::from(product.grams)) * line.quantity).sum()
    }

    /// The row of a line.
    pub fn item_place(&self, line: usize) -> u64 {
        self.placed.number * 8 + line as u64
    }
}

fn status(
    placed: &Placed,
    taken: &[Allocation],
    journey: Option<&Journey>,
    cancelled: Option<DateTime<Utc>>,
    refunded: Option<DateTime<Utc>>,
    until: DateTime<Utc>,
) -> &'static str {
    if cancelled.is_some() {
        return "CANCELLED";
    }
    if refunded.is_some() {
        return "REFUNDED";
    }
    let Some(journey) = journey else {
        return match (placed.journey().is_some(), taken.is_empty()) {
            (false, _) => "PENDING",
            (true, true) => "PAID",
            (true, false) => "PARTIALLY_ALLOCATED",
        };
    };
    match until {
        until if until >= journey.arrived && !placed.is_returned() => "DELIVERED",
        until if until >= journey.dispatched => "DISPATCHED",
        until if until >= journey.exported => "EXPORTED",
        _ => "ALLOCATED",
    }
}
