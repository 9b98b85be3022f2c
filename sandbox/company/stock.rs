//! The store: batches come in, orders take from the batch that expires first, boxes leave.
//!
//! A batch's units on hand are those in the store, promised or not; a promise is kept by taking from the batch when
//! the box leaves. Every change of what there is of a product is one movement, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use chrono::{DateTime, Duration, Utc};

use super::placed::Placed;
use super::plan::{Batch, Verdict};
use crate::shopify::{Product, catalogue};

/// The place of a product in the catalogue.
pub fn place_of(product: Product) -> Option<usize> {
    catalogue().iter().position(|known| *known == product)
}

/// Units of a batch for a line of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocation {
    /// The line's place in the order.
    pub line: usize,
    /// The batch's place in the store.
    pub batch: usize,
    /// How many units.
    pub units: i64,
    /// Units of the line that are without stock after this.
    pub left: i64,
}

/// Why stock changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The kitchen made a batch.
    Made,
    /// A batch was released; it changes nothing about what there is.
    Released,
    /// A box left.
    Dispatched,
    /// A count found another number.
    Counted,
    /// A batch was called back and destroyed.
    Recalled,
    /// A batch that was rejected was destroyed.
    Rejected,
}

/// One change of what there is of a product.
#[derive(Debug, Clone, Copy)]
pub struct Movement {
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: Reason,
    /// The batch's place in the store.
    pub batch: usize,
    /// Units; positive is stock coming in.
    pub change: i64,
    /// Units of the product before.
    pub before: i64,
}

/// Something that will happen: when, in which sequence, why, to which batch, with how many units.
type Due = Reverse<(DateTime<Utc>, u64, Reason, usize, i64)>;

/// The store at a moment.
pub struct Store {
    /// Every batch, the oldest first.
    pub batches: Vec<Batch>,
    /// Movements since they were last taken away.
    pub movements: Vec<Movement>,
    levels: Vec<i64>,
    shelves: Vec<Vec<usize>>,
    due: BinaryHeap<Due>,
    sequence: u64,
    until: DateTime<Utc>,
}

impl Store {
    /// An empty store that gets these batches and is told of until a moment.
    pub fn new(batches: Vec<Batch>, until: DateTime<Utc>) -> Self {
        let products = catalogue().len();
        let mut store = Self {
            movements: Vec::new(),
            levels: vec![0; products],
            shelves: vec![Vec::new(); products],
            due: BinaryHeap::new(),
            sequence: 0,
            until,
            batches: Vec::new(),
        };
        for (place, batch) in batches.iter().enumerate() {
            let rejected = (batch.verdict == Verdict::Fails).then(|| batch.reported + Duration::days(2));
            let life = [
                (Some(batch.made()), Reason::Made),
                (batch.released, Reason::Released),
                (batch.recall, Reason::Recalled),
                (rejected, Reason::Rejected),
            ];
            for (at, reason) in life {
                if let Some(at) = at {
                    store.expect(at, reason, place, 0);
                }
            }
            if let Some((units, at)) = batch.recounted {
                store.expect(at, Reason::Counted, place, units);
            }
        }
        let untouched =
            |batch: Batch| Batch { on_hand: batch.units, reserved: 0, reserved_at: None, depleted: None, recalled: None, ..batch };
        store.batches = batches.into_iter().map(untouched).collect();
        store
    }

    /// Lets time pass.
    pub fn advance(&mut self, to: DateTime<Utc>) {
        while let Some(Reverse((at, _, reason, place, units))) = self.due.peek().copied().filter(|due| due.0.0 <= to) {
            self.due.pop();
            match reason {
                Reason::Released => self.release(place),
                Reason::Dispatched => self.dispatch(at, place, units),
                Reason::Counted => self.count(at, place, units),
                Reason::Recalled => self.recall(at, place),
                Reason::Made => self.moved(at, reason, place, self.batches[place].units),
                Reason::Rejected => self.take(at, reason, place, self.batches[place].on_hand),
            }
        }
    }

    /// Takes stock for a sold order, from the batches that expire first. When all of it is there its box will leave;
    /// else the order waits with what it got.
    pub fn allocate(&mut self, order: &Placed) -> Vec<Allocation> {
        let at = order.allocated(self.until);
        self.advance(at);
        let mut taken = Vec::new();
        let mut is_complete = true;
        for (line, wanted) in order.lines.iter().enumerate() {
            let Some(product) = wanted.product else { continue };
            let product = place_of(product).expect("orders are made of the catalogue");
            let mut left = wanted.quantity;
            for &place in &self.shelves[product] {
                let batch = &mut self.batches[place];
                let units = left.min(batch.on_hand - batch.reserved);
                if units > 0 {
                    left -= units;
                    batch.reserved += units;
                    batch.reserved_at = Some(at);
                    taken.push(Allocation { line, batch: place, units, left });
                }
                if left == 0 {
                    break;
                }
            }
            is_complete &= left == 0;
        }
        if let Some(journey) = order.journey().filter(|_| is_complete) {
            for allocation in &taken {
                self.expect(journey.dispatched, Reason::Dispatched, allocation.batch, allocation.units);
            }
        }
        taken
    }

    fn expect(&mut self, at: DateTime<Utc>, reason: Reason, place: usize, units: i64) {
        self.sequence += 1;
        self.due.push(Reverse((at, self.sequence, reason, place, units)));
    }

    fn release(&mut self, place: usize) {
        let batch = &self.batches[place];
        let (product, expiry) = (batch.product, batch.expiry());
        let behind = self.shelves[product].partition_point(|other| self.batches[*other].expiry() <= expiry);
        self.shelves[product].insert(behind, place);
    }

    fn dispatch(&mut self, at: DateTime<Utc>, place: usize, units: i64) {
        self.batches[place].reserved -= units;
        self.take(at, Reason::Dispatched, place, units);
    }

    fn count(&mut self, at: DateTime<Utc>, place: usize, units: i64) {
        let free = self.batches[place].on_hand - self.batches[place].reserved;
        let units = units.min(free);
        if units > 0 && self.shelves[self.batches[place].product].contains(&place) {
            self.take(at, Reason::Counted, place, units);
        }
    }

    /// Nothing more is promised of it; once the last promise has left, what remains is destroyed.
    fn recall(&mut self, at: DateTime<Utc>, place: usize) {
        let product = self.batches[place].product;
        self.shelves[product].retain(|other| *other != place);
        if self.batches[place].reserved > 0 {
            self.expect(at + Duration::days(1), Reason::Recalled, place, 0);
            return;
        }
        let units = self.batches[place].on_hand;
        self.batches[place].recalled = Some(at);
        if units > 0 {
            self.take(at, Reason::Recalled, place, units);
        }
        self.batches[place].depleted = None;
    }

    fn take(&mut self, at: DateTime<Utc>, reason: Reason, place: usize, units: i64) {
        let batch = &mut self.batches[place];
        batch.on_hand -= units;
        if batch.on_hand == 0 {
            batch.depleted = Some(at);
            let product = batch.product;
            self.shelves[product].retain(|other| *other != place);
        }
        self.moved(at, reason, place, -units);
    }

    fn moved(&mut self, at: DateTime<Utc>, reason: Reason, batch: usize, change: i64) {
        let level = &mut self.levels[self.batches[batch].product];
        let before = *level;
        *level += change;
        self.movements.push(Movement { at, reason, batch, change, before });
    }
}
