//! What was ordered: the facts of one order that no later event changes.

use chrono::{DateTime, Utc};
use rand::RngExt;
use rand::rngs::StdRng;

use super::catalogue::{Product, catalogue};
use super::money::Cart;
use super::people::{Person, pick};

/// Free delivery from this many pence on.
pub const FREE_DELIVERY: i64 = 5_000;
/// Delivery of less than that.
pub const DELIVERY: i64 = 595;
/// A birthday card: made up at the till, so no product stands behind it.
const CARD: i64 = 250;
/// Euros for a hundred pounds, where a buyer is shown euros.
const EURO_PERCENT: i64 = 117;

/// Dogs that eat it.
pub const DOGS: [&str; 12] =
    ["Bramble", "Ziggy", "Mr. Pickles", "Cariad", "Haggis", "Nellie", "Łatek", "Queenie “Q”", "Otis", "Bríd", "Rolo", "Teddy"];

/// One order.
#[derive(Debug, Clone)]
pub struct Order {
    /// Shopify's id.
    pub id: i64,
    /// Number as customers see it.
    pub number: u64,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
    /// Who ordered.
    pub buyer: Buyer,
    /// What for.
    pub lines: Vec<Line>,
    /// Code and pence.
    pub discount: Option<(String, i64)>,
    /// Pence.
    pub shipping: i64,
    /// A box that comes again, or the first of such.
    pub subscription: Option<Subscription>,
    /// Euros in percent of pounds, where the buyer was shown euros.
    pub presentment: Option<i64>,
    /// Placed with Shopify's test gateway.
    pub is_test: bool,
    /// The dog that eats it.
    pub dog: &'static str,
    /// Collected at the kitchen: nothing is delivered.
    pub is_collected: bool,
}

/// How much the shop knows of who ordered.
#[derive(Debug, Clone)]
pub struct Buyer {
    /// Name and address.
    pub person: Person,
    /// Shopify's customer; none for a guest.
    pub customer_id: Option<i64>,
    /// The order's own address for mail, empty at times.
    pub email: String,
}

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// None for what is made up at the till.
    pub product: Option<Product>,
    /// Price of one in pence.
    pub price: i64,
    /// How many.
    pub quantity: i64,
}

/// The subscription that an order belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Subscription {
    /// Weeks between boxes.
    pub weeks: u8,
    /// Whether this is its first order.
    pub is_first: bool,
    /// Seal's id of it.
    pub seal_id: i64,
}

impl Order {
    /// Draws everything that follows from chance.
    pub fn draw(random: &mut StdRng, id: i64, number: u64, created_at: DateTime<Utc>, buyer: Buyer) -> Self {
        let lines = lines(random);
        let items: i64 = lines.iter().map(|line| line.price * line.quantity).sum();
        let discount = discount(random, items, number);
        let paid = items - discount.as_ref().map_or(0, |(_, pence)| *pence);
        let is_free = paid == 0 || paid >= FREE_DELIVERY;
        let is_collected = random.random_bool(0.01);
        Self {
            id,
            number,
            created_at,
            buyer,
            lines,
            discount,
            shipping: if is_free || is_collected { 0 } else { DELIVERY },
            subscription: random.random_bool(0.7).then(|| Subscription {
                weeks: pick(random, &[2, 4, 4, 4, 6, 8]),
                is_first: random.random_bool(0.25),
                seal_id: random.random_range(8_000_000..9_000_000),
            }),
            presentment: random.random_bool(0.04).then_some(EURO_PERCENT),
            is_test: random.random_bool(0.01),
            dog: pick(random, &DOGS),
            is_collected,
        }
    }

    /// What is charged for, in the shop's currency.
    pub fn cart(&self) -> Cart {
        Cart {
            lines: self.lines.iter().map(|line| (line.price, line.quantity)).collect(),
            discount: self.discount.as_ref().map_or(0, |(_, pence)| *pence),
            shipping: self.shipping,
        }
    }
}

/// Draws what somebody orders.
pub fn lines(random: &mut StdRng) -> Vec<Line> {
    let mut left: Vec<Product> = catalogue().to_vec();
    let mut lines: Vec<Line> = (0..random.random_range(1..6))
        .map(|_| {
            let product = left.swap_remove(random.random_range(0..left.len()));
            let quantity = if product.grams >= 4_000 { 1 } else { random.random_range(1..9) };
            Line { product: Some(product), price: product.price_pence, quantity }
        })
        .collect();
    if random.random_bool(0.02) {
        lines.push(Line { product: None, price: CARD, quantity: 1 });
    }
    lines
}

fn discount(random: &mut StdRng, items: i64, number: u64) -> Option<(String, i64)> {
    match random.random_range(0..100) {
        0 => Some((format!("REPLACE-{number}"), items)),
        1..=12 => Some(("WELCOME10".into(), items / 10)),
        13..=18 => Some(("FRIEND15".into(), 1_500.min(items / 2))),
        _ => None,
    }
}
