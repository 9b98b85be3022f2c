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
use super::favour::{Cause, Credit, Favours, REWARD};
use super::life::{DUNNING_DAYS, Failing, Standing, Subscription, Turn};
use super::placed::{FRIEND, Placed};
use super::ticket::{Action, GOODWILL, Ticket};

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
    pub placed: u32,
    /// Of them, those that were delivered.
    pub delivered: u32,
    /// Pence of all that were paid and not cancelled.
    pub spent: i64,
    /// Boxes on whose way something went wrong.
    pub troubles: u32,
    /// Tickets.
    pub tickets: u32,
    /// Friends who ordered by this customer's code.
    pub friends: u32,
    /// Of them, those whose order was delivered.
    pub rewards: u32,
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
    /// All credit.
    pub favours: Favours,
}

impl<'a> Story<'a> {
    /// The story before its first day.
    pub fn new(draws: Draws, calendar: &'a Calendar, first: u64) -> Self {
        Self {
            draws,
            calendar,
            first,
            day: 0,
            orders: 0,
            due: BTreeMap::new(),
            subscriptions: Vec::new(),
            customers: Vec::new(),
            favours: Favours::default(),
        }
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

    /// Orders are numbered as they are placed, and change what is known of the customer.
    fn number(&mut self, event: Event) -> Event {
        let Event::Ordered(mut placed) = event else { return event };
        placed.number = self.first + self.orders;
        self.orders += 1;
        placed.decide(self.draws);
        self.refer(&mut placed);
        let until = self.calendar.until();
        let customer = &mut self.customers[(placed.customer - self.first) as usize];
        placed.is_first = customer.placed == 0;
        customer.placed += 1;
        if let Some(journey) = placed.journey().copied() {
            placed.credit = self.favours.apply(&placed);
            customer.spent += placed.cart().totals().total;
            customer.delivered += u32::from(journey.arrived <= until && !placed.is_returned());
            customer.troubles += u32::from(journey.trouble.is_some_and(|(_, at)| at <= until));
        }
        if let Some(ticket) = Ticket::about(self.draws, &placed).filter(|ticket| ticket.opened <= until) {
            customer.tickets += 1;
            if ticket.about_what().action == Action::Credit && ticket.answered <= until {
                self.give(&placed, placed.customer, ticket.answered, GOODWILL, Cause::Goodwill);
            }
        }
        Event::Ordered(placed)
    }

    /// Finds who recommended us to somebody who orders by a friend's code.
    fn refer(&mut self, placed: &mut Placed) {
        if placed.discount.is_none_or(|(code, _)| code != FRIEND) {
            return;
        }
        let mut random = self.draws.stream(Theme::Money, placed.number);
        let mut found = (0..8).map(|_| random.random_range(0..self.customers.len()));
        let friend = found.find(|place| {
            let friend = &self.customers[*place];
            friend.subscription.is_some() && friend.since + Duration::days(7) < placed.at
        });
        let Some(friend) = friend else { return placed.welcome() };
        placed.friend = Some(self.first + friend as u64);
        self.customers[friend].friends += 1;
        if let Some(arrived) = placed.journey().map(|journey| journey.arrived).filter(|arrived| *arrived <= self.calendar.until()) {
            self.customers[friend].rewards += 1;
            self.give(placed, self.first + friend as u64, arrived, REWARD, Cause::Referral);
        }
    }

    fn give(&mut self, order: &Placed, customer: u64, given: DateTime<Utc>, pence: i64, cause: Cause) {
        self.favours.give(Credit { customer, given, pence, cause, order: order.number, used: None });
    }

    /// Somebody orders without being asked: as a rule somebody new.
    fn visit(&mut self, told: &mut Vec<(DateTime<Utc>, Event)>, random: &mut StdRng, at: DateTime<Utc>) {
        if !self.customers.is_empty() && random.random_bool(0.2) {
            let customer = self.first + random.random_range(0..self.customers.len()) as u64;
            // Whoever joins later on the same day is not there yet.
            if self.customers[(customer - self.first) as usize].since <= at {
                told.push((at, Event::Ordered(Box::new(Placed::once(self.draws, random, customer, at)))));
                return;
            }
        }
        let customer = self.first + self.customers.len() as u64;
        self.customers.push(Customer { since: at, ..Customer::default() });
        told.push((at, Event::Joined { customer, at }));
        if random.random_bool(0.25) {
            told.push((at, Event::Ordered(Box::new(Placed::once(self.draws, random, customer, at)))));
            return;
        }
        let number = self.first + self.subscriptions.len() as u64;
        let subscription = Subscription::begin(self.draws, number, customer, at);
        self.customers[(customer - self.first) as usize].subscription = Some(number);
        told.push((at, Event::Subscribed { number }));
        told.push((at, Event::Ordered(Box::new(Placed::first_box(self.draws, random, &subscription, at)))));
        self.remember(number, subscription.next);
        self.subscriptions.push(subscription);
    }

    /// A subscription's day has come. Returns how many orders that makes.
    fn bill(&mut self, told: &mut Vec<(DateTime<Utc>, Event)>, number: u64, at: DateTime<Utc>, has_room: bool) -> u64 {
        let place = (number - self.first) as usize;
        let turn = self.subscriptions[place].turn(self.draws);
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
            let placed = Placed::next_box(self.draws, subscription, at);
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
