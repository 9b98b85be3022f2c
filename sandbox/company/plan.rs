//! What the kitchen produces: batches that are released before the orders they are for.
//!
//! A product is made every other week, a little more than will be ordered. Now and then the laboratory finds
//! something, or nothing clear, or a batch is called back; then another batch stands in, so orders are filled all the
//! same. Only at the end of the history one product runs short, and the last batches still wait for the laboratory.

use chrono::{DateTime, Duration, NaiveDate, Utc};
use rand::RngExt;
use rand::rngs::StdRng;

use super::calendar::{Calendar, in_britain};
use super::draws::{Draws, Theme};
use crate::shopify::catalogue;

/// Days that one batch is to last.
const DAYS: usize = 14;
/// The product that runs short in the end, by its place in the catalogue.
const SHORT: usize = 6;
/// Units made beyond what is expected.
const SPARE: i64 = 60;
/// Frozen food is good for so long.
const SHELF_DAYS: i64 = 365;

/// What the laboratory says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing found.
    Passes,
    /// Salmonella, or too many Enterobacteriaceae.
    Fails,
    /// Not clear: two people decide on the evidence.
    Unclear,
    /// It has not answered yet.
    Awaited,
}

/// One batch, as planned and as it came to stand.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The product's place in the catalogue.
    pub product: usize,
    /// The day it was made.
    pub produced: NaiveDate,
    /// Its number within that day.
    pub of_day: u32,
    /// Units made.
    pub units: i64,
    /// What the laboratory says, and when.
    pub verdict: Verdict,
    /// When it says so.
    pub reported: DateTime<Utc>,
    /// When it may be sold.
    pub released: Option<DateTime<Utc>>,
    /// When it is to be called back.
    pub recall: Option<DateTime<Utc>>,
    /// When it was.
    pub recalled: Option<DateTime<Utc>>,
    /// Counted again: units found missing, and when.
    pub recounted: Option<(i64, DateTime<Utc>)>,
    /// Units in the store.
    pub on_hand: i64,
    /// Of them, units promised to orders.
    pub reserved: i64,
    /// The last promise.
    pub reserved_at: Option<DateTime<Utc>>,
    /// When the last unit left.
    pub depleted: Option<DateTime<Utc>>,
}

impl Batch {
    /// The last day on which it may be eaten.
    pub fn expiry(&self) -> NaiveDate {
        self.produced + Duration::days(SHELF_DAYS)
    }

    /// Its name.
    pub fn code(&self) -> String {
        format!("PR-{}-{:03}", self.produced.format("%y%m%d"), self.of_day)
    }

    /// When the kitchen had made it.
    pub fn made(&self) -> DateTime<Utc> {
        in_britain(self.produced, 14, 30)
    }
}

/// Units ordered, for each product of each day.
pub type Demand = Vec<Vec<i64>>;

/// Demand of nothing yet.
pub fn no_demand(calendar: &Calendar) -> Demand {
    vec![vec![0; calendar.days()]; catalogue().len()]
}

/// Plans every batch, the oldest first. `taken` is how many batches there are of a day already.
pub fn plan(draws: Draws, calendar: &Calendar, demand: &Demand, taken: impl Fn(NaiveDate) -> u32) -> Vec<Batch> {
    let mut random = draws.stream(Theme::Plan, 0);
    let mut batches = Vec::new();
    for (product, days) in demand.iter().enumerate() {
        let ends_short = product == SHORT;
        let mut spare = 0;
        for from in (0..days.len()).step_by(DAYS) {
            let until = (from + DAYS).min(days.len());
            let is_last = until == days.len();
            let needed = calendar.start(from) - Duration::days(1);
            if ends_short {
                // To the unit, and nothing for the last day.
                let ordered = days[from..if is_last { until - 1 } else { until }].iter().sum();
                batches.extend((ordered > 0).then(|| released(&mut random, product, ordered, needed)));
                continue;
            }
            let ordered: i64 = days[from..until].iter().sum();
            let wanted = ordered * 106 / 100 + SPARE;
            if wanted > spare {
                let units = (wanted - spare) / 10 * 10 + 10;
                let made = production(&mut random, product, units, needed, !is_last);
                let last = made.last().expect("a batch was made");
                // What is called back, and what a count may find missing, is not counted on.
                spare = if last.recall.is_some() { 0 } else { spare + units - ordered - units / 50 - 1 };
                batches.extend(made);
            } else {
                spare -= ordered;
            }
        }
        // The next one is in the laboratory.
        let units = (days.iter().rev().take(DAYS).sum::<i64>() + 20) / 10 * 10;
        batches.push(awaited(&mut random, product, units, calendar.until()));
    }
    batches.sort_by_key(|batch| (batch.produced, batch.product));
    number(&mut batches, taken);
    batches
}

/// A batch that is on sale when it is needed, and before it at times one that never is.
fn production(random: &mut StdRng, product: usize, units: i64, needed: DateTime<Utc>, may_be_recalled: bool) -> Vec<Batch> {
    let mut batch = released(random, product, units, needed);
    let on_sale = batch.released.unwrap_or(needed);
    let mut made = Vec::new();
    match random.random_range(0..100) {
        0..=2 => {
            let mut failed = new(product, units, batch.produced - Duration::days(3));
            (failed.verdict, failed.reported) = (Verdict::Fails, batch.reported - Duration::days(3));
            made.push(failed);
        }
        3..=6 => {
            batch.verdict = Verdict::Unclear;
            batch.reported = on_sale - Duration::hours(27);
        }
        // By then the next batch is on sale, made for all that is ordered from that day on.
        7 if may_be_recalled => batch.recall = Some(needed + Duration::days(DAYS as i64 + 2)),
        8..=27 => {
            let spared = (units / 50).max(1);
            batch.recounted = Some((random.random_range(1..=spared), on_sale + Duration::hours(random.random_range(20..150))));
        }
        _ => {}
    }
    made.push(batch);
    made
}

/// A batch that passes and is on sale when it is needed.
fn released(random: &mut StdRng, product: usize, units: i64, needed: DateTime<Utc>) -> Batch {
    let waited = Duration::days(random.random_range(0..3));
    let at = in_britain((needed - waited).date_naive(), 9, 0) + Duration::minutes(random.random_range(5..400));
    let at = at.min(needed);
    let mut batch = new(product, units, (at - Duration::days(random.random_range(6..9))).date_naive());
    batch.reported = at - Duration::minutes(random.random_range(12..90));
    batch.released = Some(at);
    batch
}

/// A batch that the laboratory has not answered for.
fn awaited(random: &mut StdRng, product: usize, units: i64, until: DateTime<Utc>) -> Batch {
    let mut batch = new(product, units, (until - Duration::days(random.random_range(1..6))).date_naive());
    batch.verdict = Verdict::Awaited;
    // One of the reports has come and leaves a doubt.
    if product == 2 {
        (batch.verdict, batch.reported) = (Verdict::Unclear, until - Duration::hours(7));
    }
    batch
}

fn new(product: usize, units: i64, produced: NaiveDate) -> Batch {
    Batch {
        product,
        produced,
        of_day: 0,
        units,
        verdict: Verdict::Passes,
        reported: in_britain(produced, 17, 0) + Duration::days(5),
        released: None,
        recall: None,
        recalled: None,
        recounted: None,
        on_hand: units,
        reserved: 0,
        reserved_at: None,
        depleted: None,
    }
}

/// Numbers the batches of each day.
fn number(batches: &mut [Batch], taken: impl Fn(NaiveDate) -> u32) {
    let (mut day, mut last) = (NaiveDate::MIN, 0);
    for batch in batches {
        if batch.produced != day {
            (day, last) = (batch.produced, taken(batch.produced));
        }
        last += 1;
        batch.of_day = last;
    }
}
