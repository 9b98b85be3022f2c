//! The past of a company, for a database that is to look as if it had been in use for a year and more.
//!
//! seed -> story (told three times) -> rows -> COPY, in one transaction
//!
//! A seed, a number of orders and the moment at which the history ends decide every row. Nothing is left for a job to
//! do: what waits in the end (an order without stock, a batch in the laboratory, a ticket without an answer) waits for
//! the world or for people. Tables that only queue work, or that others own, stay empty; [`LEFT_EMPTY`] lists them.

mod agent;
mod batches;
mod book;
mod calendar;
mod copy;
mod customers;
mod dogs;
mod draws;
mod exports;
mod favour;
mod knowledge;
mod laboratory;
mod life;
mod mails;
mod marketing;
mod money;
mod orders;
mod placed;
mod plan;
mod reference;
mod sale;
mod sheet;
mod shipments;
mod stock;
mod story;
mod subscriptions;
mod telling;
mod ticket;
mod tickets;
mod watch;
mod webhooks;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Duration, NaiveDate, Timelike, Utc};
use sqlx::{Connection, PgConnection};
use tokio::sync::mpsc;

use crate::shopify::catalogue;
use book::Known;
use calendar::Calendar;
use draws::Draws;
use telling::{Chapter, Telling};
pub use webhooks::SHOP;

/// Tables of the registry that are not filled, and why.
pub const LEFT_EMPTY: [(&str, &str); 8] = [
    ("calculator_tokens", "read only; calculations are calculator_discounts"),
    ("referral_rewards", "read only; rewards are customer_credits"),
    ("lab_result_history", "no batch was tested twice"),
    ("dead_letter_queue", "the engine's: a dead letter belongs to a job"),
    ("cron_jobs_metadata", "the scheduler's"),
    ("retry_config", "made by the migrations"),
    ("system_config", "made by the migrations"),
    ("config", "settings of the owner"),
];

/// How long before its first order the company was made.
const FOUNDED_BEFORE: Duration = Duration::days(40);

/// What is to be told.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many orders.
    pub orders: u64,
    /// The same seed tells the same story.
    pub seed: u64,
    /// The moment at which the history ends.
    pub until: DateTime<Utc>,
    /// Whether orders may be there already.
    pub add: bool,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody's orders are there.
    #[error("the database has orders already: use an empty one, or say --add to put more beside them")]
    HasOrders,
    /// Another program does the same.
    #[error("another seed is being written to the database: wait until it has ended")]
    Busy,
    /// The database refused, or is away.
    #[error("the database refused and nothing was written: {0}")]
    Database(#[from] sqlx::Error),
}

/// Writes the past of a company, all of it or nothing. Returns the rows of each table that has got some.
///
/// `report` hears how many orders are written.
///
/// # Errors
/// See [`Error`]. Nothing is written then.
///
/// # Panics
/// Only by a bug of this module.
pub async fn fill(
    connection: &mut PgConnection,
    options: &Options,
    mut report: impl FnMut(u64),
) -> Result<BTreeMap<&'static str, u64>, Error> {
    let until = options.until.with_nanosecond(0).unwrap_or(options.until);
    let mut tx = connection.begin().await?;
    let first = match open(&mut tx, options).await {
        Ok(first) => first,
        Err(refusal) => {
            // The lock is let go before the caller hears of the refusal and perhaps tries again.
            tx.rollback().await?;
            return Err(refusal);
        }
    };
    let draws = Draws::new(options.seed, first);
    let mut rows = BTreeMap::new();
    let mut note =
        |written: Vec<(&'static str, u64)>| written.into_iter().for_each(|(table, count)| *rows.entry(table).or_default() += count);

    let calendar = Calendar::new(options.orders, until);
    let founded = calendar.start(0) - FOUNDED_BEFORE;
    note(copy::write(&mut tx, reference::reference(draws, founded).take()).await?);
    let taken: HashMap<NaiveDate, i32> =
        sqlx::query_as(include_str!("sql/batch_numbers.sql")).fetch_all(&mut *tx).await?.into_iter().collect();
    let telling = Telling { draws, calendar, first };
    let (telling, ending) = tokio::task::spawn_blocking(move || {
        let ending = telling.learn(|day| taken.get(&day).map_or(0, |number| *number as u32));
        (telling, ending)
    })
    .await
    .expect("telling a story does not panic");

    let known = know(&mut tx, ending.packed).await?;
    let (sender, mut chapters) = mpsc::channel::<Chapter>(2);
    let writing = tokio::task::spawn_blocking(move || telling.write(&ending, &known, |chapter| sender.blocking_send(chapter).is_ok()));
    while let Some(chapter) = chapters.recv().await {
        note(copy::write(&mut tx, chapter.sheets).await?);
        copy::settle(&mut tx, &chapter.late).await?;
        report(chapter.orders);
    }
    writing.await.expect("telling a story does not panic");
    copy::analyze(&mut tx).await?;
    tx.commit().await?;
    rows.retain(|_, count| *count > 0);
    Ok(rows)
}

/// The tables that are filled, in the order in which they are.
pub fn tables() -> impl Iterator<Item = &'static str> {
    copy::tables()
}

/// Begins to write: makes sure that it may be, and finds how many orders came before.
async fn open(connection: &mut PgConnection, options: &Options) -> Result<u64, Error> {
    let is_alone: bool = sqlx::query_scalar(include_str!("sql/begin.sql")).fetch_one(&mut *connection).await?;
    if !is_alone {
        return Err(Error::Busy);
    }
    let has_orders: bool = sqlx::query_scalar(include_str!("sql/has_orders.sql")).fetch_one(&mut *connection).await?;
    if has_orders && !options.add {
        return Err(Error::HasOrders);
    }
    let first: i64 = sqlx::query_scalar(include_str!("sql/first_order.sql")).bind(book::ORDER_IDS).fetch_one(connection).await?;
    Ok(u64::try_from(first).unwrap_or(0))
}

/// What the database knows or hands out.
async fn know(connection: &mut PgConnection, packed: usize) -> Result<Known, Error> {
    let skus: Vec<&str> = catalogue().iter().map(|product| product.sku).collect();
    let products = sqlx::query_scalar(include_str!("sql/product_ids.sql")).bind(skus).fetch_all(&mut *connection).await?;
    let formulation = sqlx::query_scalar(include_str!("sql/formulation.sql")).fetch_one(&mut *connection).await?;
    let instructions = sqlx::query_scalar(include_str!("sql/instruction_ids.sql")).bind(packed as i64).fetch_all(connection).await?;
    Ok(Known { products, formulation, instructions })
}
