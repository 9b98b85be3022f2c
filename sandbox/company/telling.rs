//! Telling the story: what will be ordered, how it ends, and the rows of it.

use chrono::{Duration, NaiveDate};

use super::book::{Book, Ending, Known, Late};
use super::calendar::Calendar;
use super::draws::Draws;
use super::exports::Exports;
use super::plan::{no_demand, plan};
use super::sale::Sale;
use super::sheet::{Sheet, Sheets};
use super::stock::{Store, place_of};
use super::story::{Event, Story};

/// A chapter ends with the day on which its rows are so many bytes.
const CHAPTER: usize = 24 << 20;

/// Rows of some days.
#[derive(Debug)]
pub struct Chapter {
    /// The rows.
    pub sheets: Vec<Sheet>,
    /// What is written after them.
    pub late: Late,
    /// Orders up to here.
    pub orders: u64,
}

/// A story that can be told.
pub struct Telling {
    /// Where chance and ids come from.
    pub draws: Draws,
    /// Its days.
    pub calendar: Calendar,
    /// Orders that came before it.
    pub first: u64,
}

impl Telling {
    fn begin(&self) -> Story<'_> {
        Story::new(self.draws, &self.calendar, self.first)
    }

    /// Tells it twice: what will be ordered, then how it ends. `taken` is how many batches there are of a day already.
    pub fn learn(&self, taken: impl Fn(NaiveDate) -> u32) -> Ending {
        let mut demand = no_demand(&self.calendar);
        let mut story = self.begin();
        let mut day = 0;
        while let Some(events) = story.next_day() {
            for placed in events.iter().filter_map(ordered).filter(|placed| placed.is_sold()) {
                for line in &placed.lines {
                    if let Some(place) = line.product.and_then(place_of) {
                        demand[place][day] += line.quantity;
                    }
                }
            }
            day += 1;
        }
        let mut ending = Ending {
            subscriptions: Vec::new(),
            customers: Vec::new(),
            batches: plan(self.draws, &self.calendar, &demand, taken),
            credits: Vec::new(),
            packed: 0,
        };
        let mut stock = self.store(&ending);
        let mut story = self.begin();
        while let Some(events) = story.next_day() {
            for placed in events.iter().filter_map(ordered).filter(|placed| placed.is_sold()) {
                let taken = stock.allocate(placed);
                let is_packed =
                    Sale::is_complete(placed, &taken) && placed.journey().is_some_and(|way| way.exported <= self.calendar.until());
                ending.packed += usize::from(is_packed);
            }
            stock.movements.clear();
        }
        stock.advance(self.calendar.until());
        ending.batches = stock.batches;
        (ending.subscriptions, ending.customers, ending.credits) = (story.subscriptions, story.customers, story.favours.credits);
        ending
    }

    /// Tells it a third time and hands out its rows, until `take` wants no more.
    pub fn write(&self, ending: &Ending, known: &Known, mut take: impl FnMut(Chapter) -> bool) {
        let mut book = self.book(ending, known);
        let mut stock = self.store(ending);
        let mut story = self.begin();
        let (mut day, mut orders, mut moved) = (0, 0, self.first << 20);
        if self.calendar.orders_in_all() > 0 {
            book.batches();
            book.invoices();
            book.monitors();
            book.ad_accounts();
        }
        while let Some(events) = story.next_day() {
            let began = self.calendar.start(day).date_naive();
            let mut joined = 0;
            for event in &events {
                let taken = ordered(event).filter(|placed| placed.is_sold()).map(|placed| stock.allocate(placed)).unwrap_or_default();
                book.write(event, &taken);
                orders += u64::from(ordered(event).is_some());
                joined += u64::from(matches!(event, Event::Joined { .. }));
            }
            day += 1;
            stock.advance(self.calendar.start(day));
            for movement in stock.movements.drain(..) {
                book.movement(moved, &movement);
                book.stock_alert(moved, &movement);
                moved += 1;
            }
            book.advertising(began, joined);
            let is_last = day == self.calendar.days();
            book.close_exports(if is_last { self.calendar.until().date_naive() + Duration::days(1) } else { began });
            if (is_last || book.sheets.bytes() > CHAPTER) && !take(Chapter { orders, ..book.chapter() }) {
                return;
            }
        }
    }

    /// The store with the batches that are to come; what became of them is forgotten.
    fn store(&self, ending: &Ending) -> Store {
        Store::new(ending.batches.clone(), self.calendar.until())
    }

    fn book<'a>(&self, ending: &'a Ending, known: &'a Known) -> Book<'a> {
        Book {
            draws: self.draws,
            until: self.calendar.until(),
            first: self.first,
            ending,
            known,
            sheets: Sheets::default(),
            late: Late::default(),
            exports: Exports::new(),
            packed: 0,
            credited: 0,
        }
    }
}

fn ordered(event: &Event) -> Option<&super::placed::Placed> {
    match event {
        Event::Ordered(placed) => Some(placed),
        _ => None,
    }
}
