//! The book that the story is written into: rows of every table, in their last state.

use chrono::{DateTime, Duration, Utc};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use uuid::Uuid;

use super::draws::{Draws, Theme};
use super::favour::Credit;
use super::life::Subscription;
use super::placed::{Billed, Placed};
use super::plan::Batch;
use super::sheet::Sheets;
use super::stock::Allocation;
use super::story::{Customer, Event};
use super::telling::Chapter;
use crate::shopify::people::{Person, person, pick};

/// Shopify's ids of what the company sold: below those of the sandbox shop, so that both fit in one database.
pub const ORDER_IDS: i64 = 4_000_000_000_000;
const CUSTOMER_IDS: i64 = 3_000_000_000_000;
/// Seal's ids.
const SEAL_IDS: i64 = 5_000_000;

/// How everything ended.
#[derive(Debug)]
pub struct Ending {
    /// Every subscription.
    pub subscriptions: Vec<Subscription>,
    /// Every customer.
    pub customers: Vec<Customer>,
    /// Every batch.
    pub batches: Vec<Batch>,
    /// Every credit.
    pub credits: Vec<Credit>,
    /// Boxes for which packing was worked out.
    pub packed: usize,
}

/// What the database knows already, or hands out.
#[derive(Debug)]
pub struct Known {
    /// The id of each product of the catalogue.
    pub products: Vec<Uuid>,
    /// The recipe in use.
    pub formulation: Uuid,
    /// Ids for packing instructions, in the order of use.
    pub instructions: Vec<i64>,
}

/// States that rows get once others are there.
#[derive(Debug, Default)]
pub struct Late {
    /// Referrals and the orders they led to: the two tables name each other.
    pub referred: Vec<(Uuid, Uuid)>,
    /// Orders that are paid and wait: one that is inserted as paid asks for stock by a trigger.
    pub paid: Vec<Uuid>,
    /// Shipments that have just left: one that is inserted as dispatched takes its stock by a trigger.
    pub dispatched: Vec<Uuid>,
}

/// The writer of the story.
pub struct Book<'a> {
    /// Where chance and ids come from.
    pub draws: Draws,
    /// The end of the history.
    pub until: DateTime<Utc>,
    /// Orders that came before it.
    pub first: u64,
    /// How everything ends.
    pub ending: &'a Ending,
    /// What is in the database.
    pub known: &'a Known,
    /// Rows that wait.
    pub sheets: Sheets,
    /// What is written once its rows are there.
    pub late: Late,
    /// Exports of days that are not over.
    pub exports: super::exports::Exports,
    /// Packing instructions so far.
    pub packed: usize,
    /// Credits so far.
    pub credited: usize,
}

impl Book<'_> {
    /// Writes one event. An order comes with what it got of the stock.
    pub fn write(&mut self, event: &Event, taken: &[Allocation]) {
        match event {
            Event::Joined { customer, at } => self.joined(*customer, *at),
            Event::Subscribed { number } => self.subscribed(*number),
            Event::Ordered(placed) => self.ordered(placed, taken),
            Event::Refused { subscription, cycle, reason, at } => self.refused(*subscription, *cycle, *reason, *at),
            Event::Changed { subscription, cycle, change, at } => self.change(*subscription, *cycle, *change, *at),
        }
    }

    fn ordered(&mut self, placed: &Placed, taken: &[Allocation]) {
        let person = self.person(placed.customer);
        let sale = super::sale::Sale::of(self, placed, taken);
        self.order(&sale, &person);
        self.allocations(&sale);
        self.packing(&sale);
        self.export(&sale);
        self.shipment(&sale, &person);
        self.payment(&sale);
        self.money(&sale, &person);
        self.ticket(&sale, &person);
        self.mails(&sale, &person);
        self.webhooks(&sale, &person);
        self.log(&sale);
    }

    /// What waits to be written.
    pub fn chapter(&mut self) -> Chapter {
        Chapter { sheets: self.sheets.take(), late: std::mem::take(&mut self.late), orders: 0 }
    }

    /// The person that a customer is.
    pub fn person(&self, number: u64) -> Person {
        let person = person(&mut self.draws.stream(Theme::Customer, number), number);
        // Nobody of the sandbox shop, whose addresses end in .com.
        Person { email: person.email.replace("@example.com", "@example.org"), ..person }
    }

    /// The stream of a theme at a place.
    pub fn stream(&self, theme: Theme, place: u64) -> StdRng {
        self.draws.stream(theme, place)
    }

    /// The id of a row.
    pub fn id(&self, table: &str, place: u64) -> Uuid {
        self.draws.id(table, place)
    }

    /// A subscription in its last state.
    pub fn subscription(&self, number: u64) -> &Subscription {
        &self.ending.subscriptions[(number - self.first) as usize]
    }

    /// A customer in the end.
    pub fn customer(&self, number: u64) -> &Customer {
        &self.ending.customers[(number - self.first) as usize]
    }

    /// The moment, if it has come.
    pub fn past(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        (at <= self.until).then_some(at)
    }

    /// Whether a moment is among the last so many days.
    pub fn is_recent(&self, at: DateTime<Utc>, days: i64) -> bool {
        at <= self.until && at > self.until - Duration::days(days)
    }
}

/// Shopify's id of a customer.
pub const fn shopify_customer(number: u64) -> i64 {
    CUSTOMER_IDS + number as i64
}

/// Shopify's id of an order.
pub const fn shopify_order(number: u64) -> i64 {
    ORDER_IDS + number as i64
}

/// An order's number as customers see it.
pub const fn order_label(number: u64) -> u64 {
    100_001 + number
}

/// Seal's id of a subscription.
pub const fn seal_id(number: u64) -> i64 {
    SEAL_IDS + number as i64
}

/// Seal's id of a billing attempt.
pub const fn attempt_id(billed: Billed) -> i64 {
    (SEAL_IDS + billed.number as i64) * 1_000 + billed.cycle as i64
}

/// An address as Shopify writes it.
pub fn address_json(person: &Person) -> Value {
    let place = &person.address;
    json!({
        "address1": place.line1,
        "address2": place.line2,
        "city": place.city,
        "province": place.province,
        "zip": place.zip,
        "country_code": "GB",
    })
}

/// Something to browse with.
pub fn browser(random: &mut StdRng) -> (&'static str, &'static str) {
    pick(
        random,
        &[
            (
                "mobile",
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile/15E148 Safari/604.1",
            ),
            ("mobile", "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/138.0.0.0 Mobile Safari/537.36"),
            ("desktop", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/138.0.0.0 Safari/537.36"),
            ("tablet", "Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile/15E148 Safari/604.1"),
        ],
    )
}

/// An address of the block that is kept free for documents.
pub fn ip_address(random: &mut StdRng) -> String {
    format!("203.0.113.{}", random.random_range(1..255))
}
