//! The past of the company, day by day.
//!
//! The story can be told any number of times and is the same each time. It is told once to learn what will be
//! ordered (so that the kitchen can produce it in time), once to learn how everything ends, and once to write it
//! down: so each row is written once, in its last state, and no more than a day is held in memory. What is kept
//! over the days is one small record a subscription and a customer.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use rand::RngExt;
use rand::rngs::StdRng;

use super::calendar::Calendar;
use super::draws::{Draws, Theme};
use super::life::{DUNNING_DAYS, Failing, Standing, Subscription, Turn};
use super::placed::Placed;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// Somebody became a customer.
    Joined { customer: u64, at: DateTime<Utc> },
    /// A subscription began with the order that follows.
    Subscribed { number: u64 },
    /// An order was placed.
    Ordered(Box<Placed>),
    /// A card was refused.
    Refused { subscription: u64, cycle: u32, reason: usize, at: DateTime<Utc> },
    /// A subscription was skipped, paused, resumed or cancelled.
    Changed { subscription: u64, cycle: u32, change: Change, at: DateTime<Utc> },
}

/// A change of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// One box is left out.
    Skipped,
    /// No boxes until it is resumed.
    Paused,
    /// It goes on.
    Resumed,
    /// It ended, by the customer's wish or for want of payment.
    Cancelled { unpaid: bool },
}

/// What is known of a customer.
#[derive(Debug, Clone, Default)]
pub struct Customer {
    /// When the first order was placed.
    pub since: DateTime<Utc>,
    /// Orders so far.
    pub orders: u32,
    /// Pence of all orders.
    pub spent: i64,
    /// The first subscription, if there is one.
    pub subscription: Option<u64>,
}

/// The company while its story is told.
pub struct Story<'a> {
    draws: Draws,
    calendar: &'a Calendar,
    first: u64,
    day: usize,
    orders: u64,
    due: BTreeMap<usize, Vec<u64>>,
    /// Every subscription, by its number less `first`.
    pub subscriptions: Vec<Subscription>,
    /// Every customer, by their number less `first`.
    pub customers: Vec<Customer>,
}

impl<'a> Story<'a> {
    /// The story before its first day.
    pub const fn new(draws: Draws, calendar: &'a Calendar, first: u64) -> Self {
        Self { draws, calendar, first, day: 0, orders: 0, due: BTreeMap::new(), subscriptions: Vec::new(), customers: Vec::new() }
    }

    /// What happened on the next day, in the order of time; none after the last.
    pub fn next_day(&mut self) -> Option<Vec<Event>> {
        let day = self.day;
        if day == self.calendar.days() {
            return None;
        }
        self.day += 1;
        let mut random = self.draws.stream(Theme::Day, day as u64);
        let mut left = self.calendar.orders(day);
        // Somebody new comes on most days, however many boxes are due.
        let kept_for_new = left / 8;
        let mut told = Vec::new();
        while let Some(entry) = self.due.first_entry().filter(|entry| *entry.key() <= day) {
            for number in entry.remove() {
                let at = self.calendar.moment(&mut random, day);
                left -= self.bill(&mut told, number, at, left > kept_for_new);
            }
        }
        for _ in 0..left {
            let at = self.calendar.moment(&mut random, day);
            self.visit(&mut told, &mut random, at);
        }
        told.sort_by_key(|(at, _)| *at);
        Some(told.into_iter().map(|(_, event)| self.number(event)).collect())
    }

    /// Orders are numbered as they are placed.
    fn number(&mut self, event: Event) -> Event {
        let Event::Ordered(mut placed) = event else { return event };
        placed.number = self.first + self.orders;
        self.orders += 1;
        placed.decide(&self.draws);
        let customer = &mut self.customers[(placed.customer - self.first) as usize];
        if placed.is_sold() {
            customer.orders += 1;
            customer.spent += placed.cart().totals().total;
        }
        Event::Ordered(placed)
    }

    /// Somebody orders without being asked: as a rule somebody new.
    fn visit(&mut self, told: &mut Vec<(DateTime<Utc>, Event)>, random: &mut StdRng, at: DateTime<Utc>) {
        if !self.customers.is_empty() && random.random_bool(0.2) {
            let customer = self.first + random.random_range(0..self.customers.len()) as u64;
            // Whoever joins later on the same day is not there yet.
            if self.customers[(customer - self.first) as usize].since <= at {
                told.push((at, Event::Ordered(Box::new(Placed::once(&self.draws, random, customer, at)))));
                return;
            }
        }
        let customer = self.first + self.customers.len() as u64;
        self.customers.push(Customer { since: at, ..Customer::default() });
        told.push((at, Event::Joined { customer, at }));
        if random.random_bool(0.25) {
            told.push((at, Event::Ordered(Box::new(Placed::once(&self.draws, random, customer, at)))));
            return;
        }
        let number = self.first + self.subscriptions.len() as u64;
        let subscription = Subscription::begin(&self.draws, number, customer, at);
        self.customers[(customer - self.first) as usize].subscription = Some(number);
        told.push((at, Event::Subscribed { number }));
        told.push((at, Event::Ordered(Box::new(Placed::first_box(&self.draws, random, &subscription, at)))));
        self.remember(number, subscription.next);
        self.subscriptions.push(subscription);
    }

    /// A subscription's day has come. Returns how many orders that makes.
    fn bill(&mut self, told: &mut Vec<(DateTime<Utc>, Event)>, number: u64, at: DateTime<Utc>, has_room: bool) -> u64 {
        let place = (number - self.first) as usize;
        let turn = self.subscriptions[place].turn(&self.draws);
        let subscription = &mut self.subscriptions[place];
        let (weeks, cycle) = (Duration::weeks(subscription.weeks.into()), subscription.cycle);
        let changed = |change| (at, Event::Changed { subscription: number, cycle, change, at });
        let mut orders = 0;
        let pays = match (subscription.standing, subscription.failing, turn) {
            (Standing::Cancelled, ..) => return 0,
            (Standing::Paused, ..) => {
                told.push(changed(Change::Resumed));
                (subscription.standing, subscription.since, subscription.next) = (Standing::Active, at, at + Duration::days(3));
                false
            }
            (_, Some(failing), _) if !failing.recovers => {
                told.push(changed(Change::Cancelled { unpaid: true }));
                (subscription.standing, subscription.since) = (Standing::Cancelled, at);
                return 0;
            }
            (_, Some(_), _) | (_, None, Turn::Pays) => true,
            (_, None, Turn::Skips) => {
                told.push(changed(Change::Skipped));
                subscription.skips += 1;
                (subscription.next, subscription.cycle) = (at + weeks, cycle + 1);
                false
            }
            (_, None, Turn::Pauses { days }) => {
                told.push(changed(Change::Paused));
                (subscription.standing, subscription.since, subscription.next) = (Standing::Paused, at, at + Duration::days(days));
                subscription.cycle += 1;
                false
            }
            (_, None, Turn::Cancels) => {
                told.push(changed(Change::Cancelled { unpaid: false }));
                (subscription.standing, subscription.since) = (Standing::Cancelled, at);
                return 0;
            }
            (_, None, Turn::Fails { reason, days, recovers }) => {
                told.push((at, Event::Refused { subscription: number, cycle, reason, at }));
                subscription.failing = Some(Failing { since: at, reason, recovers });
                (subscription.failures, subscription.failed_at) = (subscription.failures + 1, Some(at));
                subscription.next = at + Duration::days(days.min(DUNNING_DAYS));
                false
            }
        };
        if pays && has_room {
            let placed = Placed::next_box(&self.draws, subscription, at);
            told.push((at, Event::Ordered(Box::new(placed))));
            subscription.failing = None;
            (subscription.next, subscription.cycle) = (at + weeks, cycle + 1);
            orders = 1;
        } else if pays {
            subscription.next = at + Duration::days(1);
        }
        let next = subscription.next;
        self.remember(number, next);
        orders
    }

    /// Notes the day on which a subscription bills next; none after the last.
    fn remember(&mut self, number: u64, next: DateTime<Utc>) {
        let day = (next - self.calendar.start(0)).num_days();
        if day < self.calendar.days() as i64 {
            self.due.entry(usize::try_from(day).unwrap_or(0)).or_default().push(number);
        }
    }
}
