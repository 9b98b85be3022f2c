//! What a small shop sells in a month, to whom, and what becomes of each order: drawn from a seed, and known beforehand.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Products: name and price in pence with VAT of a fifth, so divisible by six.
pub const PRODUCTS: [(&str, i64); 3] = [("BEEF", 1_194), ("LAMB", 1_500), ("DUCK", 894)];
/// Of each unit.
pub const UNIT_GRAMS: i64 = 500;
/// Delivery, in pence.
pub const DELIVERY: i64 = 594;
/// Where people live: town and postcode, with tables' and usual ways.
pub const TOWNS: [(&str, &str); 6] = [
    ("London", "SW11 4AB"),
    ("London", "E8 1AA"),
    ("Leeds", "LS6 2BB"),
    ("Bristol", "BS6 5AB"),
    ("Cambridge", "CB1 3DD"),
    ("York", "YO1 7EP"),
];
/// The last day of the month on which something is ordered.
pub const LAST_ORDERS: i64 = 20;
/// The last day of the month, counted from the first as 0.
pub const LAST_DAY: i64 = 30;

/// What becomes of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Paid, packed, sent, delivered.
    Plain,
    /// Paid on the next day; stock is held until then.
    PaidLater,
    /// Never paid.
    NeverPaid,
    /// Changed before it is paid on the next day.
    EditedUnpaid,
    /// Cancelled and refunded on its first day.
    CancelledAtOnce,
    /// Cancelled and refunded when the packer has it; he sends it all the same.
    CancelledLate,
    /// Cancelled and refunded when the packer has it; he stops it, and says so.
    Stopped,
    /// Its lines change when the packer has it.
    EditedLate,
    /// A unit is refunded before it is packed.
    LessOfIt,
    /// Some money is given back when it has arrived.
    Goodwill,
    /// Goes to another street, on its first day.
    Moved,
    /// Is to go to another street when the packer has it.
    MovedLate,
    /// Goes abroad, where nothing chilled is sent.
    Abroad,
    /// Its name is a formula, which no file may have.
    Formula,
    /// Its parcel is held up, and arrives a day later.
    HeldUp,
    /// No webhook tells of it.
    Missed,
}

/// Each fate, and how often it comes among a hundred orders or so.
const FATES: [(Fate, u32); 16] = [
    (Fate::Plain, 37),
    (Fate::Stopped, 3),
    (Fate::PaidLater, 8),
    (Fate::NeverPaid, 4),
    (Fate::EditedUnpaid, 4),
    (Fate::CancelledAtOnce, 6),
    (Fate::CancelledLate, 3),
    (Fate::EditedLate, 3),
    (Fate::LessOfIt, 6),
    (Fate::Goodwill, 5),
    (Fate::Moved, 5),
    (Fate::MovedLate, 3),
    (Fate::Abroad, 2),
    (Fate::Formula, 2),
    (Fate::HeldUp, 5),
    (Fate::Missed, 6),
];

/// A line of an order.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    pub product: usize,
    /// Units as the shop has them in its document.
    pub sold: i64,
    /// Of these, the ones that are not cancelled.
    pub current: i64,
    /// Units that are to be packed.
    pub packed: i64,
}

/// An order as it stands.
#[derive(Debug, Clone)]
pub struct Order {
    pub n: i64,
    pub person: usize,
    /// The day on which it is placed.
    pub day: i64,
    pub fate: Fate,
    pub lines: Vec<Line>,
    /// The house number of where it goes.
    pub door: usize,
    pub is_paid: bool,
    pub is_cancelled: bool,
    /// Money that was given back, in pence, a refund each.
    pub refunds: Vec<i64>,
    /// Documents that it has had.
    pub changes: i64,
    /// Whether what its fate brings later has come.
    pub is_over: bool,
}

impl Order {
    /// Shopify's id.
    pub const fn id(&self) -> i64 {
        5_500_000_000_000 + self.n
    }

    /// Its name in the shop.
    pub fn label(&self) -> String {
        format!("#{}", 5_000 + self.n)
    }

    /// Its name at the packer.
    pub fn at_packer(&self) -> String {
        format!("PR{}", self.label())
    }

    /// The number of its parcel.
    pub fn parcel(&self) -> String {
        format!("155{:011}", self.n)
    }

    /// What the customer pays, in pence.
    pub fn total(&self) -> i64 {
        self.lines.iter().map(|line| PRODUCTS[line.product].1 * line.sold).sum::<i64>() + DELIVERY
    }

    /// Units that are to be packed of a product; of all with none.
    pub fn units(&self, product: Option<usize>) -> i64 {
        self.lines.iter().filter(|line| product.is_none_or(|wanted| wanted == line.product)).map(|line| line.packed).sum()
    }

    /// Whether it must have left by the end of the month.
    pub const fn leaves(&self) -> bool {
        !matches!(self.fate, Fate::NeverPaid | Fate::CancelledAtOnce | Fate::Stopped | Fate::Abroad | Fate::Formula)
    }

    /// Whether its stock is given to it and it waits for a person.
    pub const fn waits(&self) -> bool {
        matches!(self.fate, Fate::Abroad | Fate::Formula)
    }
}

/// Draws a month of so many orders, by day.
pub fn draw(seed: u64, orders: usize) -> Vec<Order> {
    let mut random = StdRng::seed_from_u64(seed);
    let all: u32 = FATES.iter().map(|(_, share)| share).sum();
    let mut drawn: Vec<Order> = (0..orders)
        .map(|n| {
            // Each fate comes once at least, if there are so many orders.
            let fate = FATES.get(n).map_or_else(|| by_share(random.random_range(0..all)), |(fate, _)| *fate);
            let lines = lines(&mut random);
            Order {
                n: n as i64 + 1,
                person: random.random_range(0..orders.div_ceil(3)),
                day: if n < FATES.len() { n as i64 } else { random.random_range(0..=LAST_ORDERS) },
                fate,
                lines,
                door: n + 1,
                is_paid: false,
                is_cancelled: false,
                refunds: Vec::new(),
                changes: 0,
                is_over: false,
            }
        })
        .collect();
    drawn.sort_by_key(|order| (order.day, order.n));
    drawn
}

fn by_share(mut place: u32) -> Fate {
    for (fate, share) in FATES {
        if place < share {
            return fate;
        }
        place -= share;
    }
    Fate::Plain
}

fn lines(random: &mut StdRng) -> Vec<Line> {
    let first = random.random_range(0..PRODUCTS.len());
    let count = random.random_range(1..=PRODUCTS.len());
    (0..count)
        .map(|place| {
            let units = random.random_range(2..=8);
            Line { product: (first + place) % PRODUCTS.len(), sold: units, current: units, packed: units }
        })
        .collect()
}
