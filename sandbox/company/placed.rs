//! One order of the past: what was bought, and what became of it.

use chrono::{DateTime, Duration, Utc};
use rand::RngExt;
use rand::rngs::StdRng;

use super::calendar::{delivery_day, dispatch_day, in_britain, next};
use super::draws::{Draws, Theme};
use super::life::Subscription;
use crate::shopify::money::Cart;
use crate::shopify::order::{self, DELIVERY, FREE_DELIVERY, Line};

/// An order and its fate.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Its place in the company's sequence.
    pub number: u64,
    /// Who ordered.
    pub customer: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// The subscription's number, the billing cycle, and when its payment first failed, if it did.
    pub subscription: Option<Billed>,
    /// What for.
    pub lines: Vec<Line>,
    /// Code and pence.
    pub discount: Option<(&'static str, i64)>,
    /// Whether it is the customer's first.
    pub is_first: bool,
    /// The customer who recommended us.
    pub friend: Option<u64>,
    /// The credit that was used, by its place, and how much of it.
    pub credit: Option<(usize, i64)>,
    /// What becomes of it.
    pub fate: Fate,
}

/// The code of those who come by a friend's word.
pub const FRIEND: &str = "FRIEND15";
const WELCOME: &str = "WELCOME10";

/// The billing that made an order.
#[derive(Debug, Clone, Copy)]
pub struct Billed {
    /// The subscription.
    pub number: u64,
    /// Which of its billings; 0 is the order that began it.
    pub cycle: u32,
    /// Weeks between boxes.
    pub weeks: u8,
    /// The first failure of the payment.
    pub failed_since: Option<DateTime<Utc>>,
}

/// What becomes of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Never paid; cancelled after two days.
    Unpaid,
    /// Cancelled and refunded before it was packed.
    Cancelled,
    /// Delivered.
    Delivered(Journey),
    /// Delivered, and refunded in full afterwards.
    Refunded(Journey),
    /// Sent back to the sender.
    Returned(Journey),
}

/// The way of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Journey {
    /// Handed to the packer, with the day's other orders.
    pub exported: DateTime<Utc>,
    /// Packed.
    pub packed: DateTime<Utc>,
    /// Handed to the carrier.
    pub dispatched: DateTime<Utc>,
    /// At the carrier's hub.
    pub hub: DateTime<Utc>,
    /// What went wrong: a place among the carrier's exceptions, and when.
    pub trouble: Option<(usize, DateTime<Utc>)>,
    /// On the van.
    pub van: DateTime<Utc>,
    /// At the door, or back at the sender.
    pub arrived: DateTime<Utc>,
}

/// How long an order waits for its money.
const PATIENCE: Duration = Duration::days(2);

impl Placed {
    /// An order without subscription.
    pub fn once(draws: Draws, random: &mut StdRng, customer: u64, at: DateTime<Utc>) -> Self {
        let mut lines = order::lines(&mut draws.stream(Theme::Order, random.random()));
        lines.truncate(4);
        Self::new(customer, at, lines, random.random_bool(0.3).then_some(WELCOME))
    }

    /// The order that begins a subscription.
    pub fn first_box(draws: Draws, random: &mut StdRng, subscription: &Subscription, at: DateTime<Utc>) -> Self {
        let code = match random.random_range(0..10) {
            0..=4 => Some(WELCOME),
            5 => Some(FRIEND),
            _ => None,
        };
        let billed = Billed { number: subscription.number, cycle: 0, weeks: subscription.weeks, failed_since: None };
        Self { subscription: Some(billed), ..Self::new(subscription.customer, at, subscription.lines(draws), code) }
    }

    /// The next box of a subscription.
    pub fn next_box(draws: Draws, subscription: &Subscription, at: DateTime<Utc>) -> Self {
        let failed_since = subscription.failing.map(|failing| failing.since);
        let billed = Billed { number: subscription.number, cycle: subscription.cycle, weeks: subscription.weeks, failed_since };
        Self { subscription: Some(billed), ..Self::new(subscription.customer, at, subscription.lines(draws), None) }
    }

    fn new(customer: u64, at: DateTime<Utc>, lines: Vec<Line>, code: Option<&'static str>) -> Self {
        let items: i64 = lines.iter().map(|line| line.price * line.quantity).sum();
        let discount = code.map(|code| (code, if code == FRIEND { 1_500.min(items / 2) } else { items / 10 }));
        Self {
            number: 0,
            customer,
            at,
            subscription: None,
            lines,
            discount,
            is_first: false,
            friend: None,
            credit: None,
            fate: Fate::Unpaid,
        }
    }

    /// Makes its discount that of somebody who came by themselves.
    pub fn welcome(&mut self) {
        let items: i64 = self.lines.iter().map(|line| line.price * line.quantity).sum();
        self.discount = Some((WELCOME, items / 10));
    }

    /// What is charged for.
    pub fn cart(&self) -> Cart {
        let lines: Vec<_> = self.lines.iter().map(|line| (line.price, line.quantity)).collect();
        let discount = self.discount.map_or(0, |(_, pence)| pence);
        let paid = lines.iter().map(|(price, count)| price * count).sum::<i64>() - discount;
        Cart { lines, discount, shipping: if paid >= FREE_DELIVERY { 0 } else { DELIVERY } }
    }

    /// Draws what becomes of it, once it has its number.
    pub fn decide(&mut self, draws: Draws) {
        let mut random = draws.stream(Theme::Fate, self.number);
        let is_billed = self.subscription.is_some_and(|billed| billed.cycle > 0);
        let journey = journey(&mut random, self.at);
        self.fate = match random.random_range(0..1_000) {
            0..=14 if !is_billed => Fate::Unpaid,
            15..=39 => Fate::Cancelled,
            40..=49 => Fate::Refunded(journey),
            50..=53 => Fate::Returned(Journey {
                trouble: Some((3, journey.van + Duration::hours(5))),
                arrived: journey.arrived + Duration::days(3),
                ..journey
            }),
            _ => Fate::Delivered(journey),
        };
    }

    /// The way of its box, if it is to have one.
    pub const fn journey(&self) -> Option<&Journey> {
        match &self.fate {
            Fate::Delivered(journey) | Fate::Refunded(journey) | Fate::Returned(journey) => Some(journey),
            Fate::Unpaid | Fate::Cancelled => None,
        }
    }

    /// Whether it is paid and stays so until it is packed.
    pub const fn is_sold(&self) -> bool {
        self.journey().is_some()
    }

    /// Whether its box goes back.
    pub const fn is_returned(&self) -> bool {
        matches!(self.fate, Fate::Returned(_))
    }

    /// When it ended without a box; one that is cancelled is so before the history ends.
    pub fn ended(&self, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.fate {
            Fate::Unpaid => Some(self.at + PATIENCE).filter(|at| *at <= until),
            Fate::Cancelled => Some(until.min(self.at + Duration::minutes(20 + (self.number % 40) as i64))),
            _ => None,
        }
    }

    /// When stock is taken for it.
    pub fn allocated(&self, until: DateTime<Utc>) -> DateTime<Utc> {
        until.min(self.at + Duration::seconds(5))
    }
}

/// The carrier's exceptions, as places in its list of codes.
pub const TROUBLES: usize = 3;

/// Draws the way of a box that is ordered at a moment. Orders until midnight leave on the next dispatch day.
fn journey(random: &mut StdRng, ordered: DateTime<Utc>) -> Journey {
    let day = dispatch_day(next(ordered.date_naive()));
    let exported = in_britain(day, 6, 0) + Duration::seconds(random.random_range(2..40));
    let packed = in_britain(day, 8, 0) + Duration::seconds(random.random_range(0..6 * 3_600));
    let dispatched = in_britain(day, 16, 0) + Duration::seconds(random.random_range(0..5_400));
    let hub = in_britain(day, 22, 0) + Duration::seconds(random.random_range(0..7_200));
    let mut arrival = delivery_day(next(day));
    let trouble = random.random_bool(0.03).then(|| {
        let at = in_britain(arrival, 11, 0) + Duration::seconds(random.random_range(0..14_400));
        arrival = delivery_day(next(arrival));
        (random.random_range(0..TROUBLES), at)
    });
    let van = in_britain(arrival, 6, 30) + Duration::seconds(random.random_range(0..3_600));
    let arrived = in_britain(arrival, 8, 30) + Duration::seconds(random.random_range(0..32_400));
    Journey { exported, packed, dispatched, hub, trouble, van, arrived }
}
