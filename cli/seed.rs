//! `rawops seed`: the past of a company, for a database that is to look as if it had been in use.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, bail};
use chrono::{DateTime, Days, DurationRound, NaiveDate, NaiveTime, TimeDelta, Utc};
use sandbox::company;
use serde_json::json;

use crate::{database::Database, logging, output};

/// The most orders that one call writes: the company keeps its subscriptions in memory.
const MOST: u64 = 5_000_000;

/// What `seed` may be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many orders
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST))]
    orders: u64,
    /// Another number makes another company
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// When the history ends: a moment as 2026-03-01T12:00:00Z, or a day, whose end is meant; of today, this minute
    #[arg(long, value_name = "DATE", value_parser = end)]
    until: Option<End>,
    /// Write beside the orders that are there
    #[arg(long)]
    add: bool,
    #[command(flatten)]
    format: output::Format,
}

/// When the history ends.
#[derive(Debug, Clone, Copy)]
enum End {
    At(DateTime<Utc>),
    Day(NaiveDate),
}

pub async fn run(url: Option<&str>, args: &Args) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    let begun = Instant::now();
    let database = Database::open(url, |_, _| ()).await?;
    database.require_schema().await?;
    let mut connection = database.connect().await?;
    let now: DateTime<Utc> = sqlx::query_scalar(include_str!("sql/clock/now.sql")).fetch_one(&mut connection).await?;
    let options = company::Options { orders: args.orders, seed: args.seed, until: moment(args.until, now)?, add: args.add };
    let shows = std::io::stderr().is_terminal() && !args.format.json;
    let written = company::fill(&mut connection, &options, |orders| {
        if shows {
            progress(orders, args.orders);
        }
    })
    .await?;
    show(args, &options, &written, begun)?;
    drop(connection);
    database.close().await?;
    Ok(ExitCode::SUCCESS)
}

fn show(args: &Args, options: &company::Options, written: &BTreeMap<&str, u64>, begun: Instant) -> anyhow::Result<()> {
    let (rows, took) = (written.values().sum::<u64>(), begun.elapsed().as_secs_f64());
    if args.format.json {
        let until = options.until;
        return output::json(&json!({ "tables": written, "rows": rows, "seconds": took, "seed": options.seed, "until": until }));
    }
    output::table(["TABLE", "ROWS"], written.iter().map(|(table, count)| [(*table).to_string(), count.to_string()]))?;
    let (count, until) = (written.len(), output::moment(options.until));
    output::print(format!("{rows} rows in {count} tables, until {until}, in {took:.1} s"))
}

/// The line is written over by the next one, and blanked in the end.
fn progress(orders: u64, all: u64) {
    let line = if orders < all { format!("\r{orders} of {all} orders") } else { format!("\r{:40}\r", "") };
    let mut stderr = std::io::stderr();
    // With nobody to see it there is nothing to show.
    let _ = stderr.write_all(line.as_bytes()).and_then(|()| stderr.flush());
}

fn end(text: &str) -> Result<End, String> {
    let day = || text.parse().map(End::Day);
    DateTime::parse_from_rfc3339(text)
        .map(|at| End::At(at.to_utc()))
        .or_else(|_| day())
        .map_err(|_| "expected a day like 2026-03-01 or a moment like 2026-03-01T12:00:00Z".into())
}

/// The moment at which the history ends.
fn moment(end: Option<End>, now: DateTime<Utc>) -> anyhow::Result<DateTime<Utc>> {
    let this_minute = now.duration_trunc(TimeDelta::minutes(1)).context("the database's clock shows no minute")?;
    let at = match end {
        None => return Ok(this_minute),
        Some(End::Day(day)) if day == now.date_naive() => return Ok(this_minute),
        Some(End::Day(day)) => day.checked_add_days(Days::new(1)).context("the day is too far away")?.and_time(NaiveTime::MIN).and_utc(),
        Some(End::At(at)) => at,
    };
    if at > now {
        bail!("the history cannot end in the future: --until is after {}", output::moment(now));
    }
    if at < DateTime::UNIX_EPOCH + TimeDelta::days(3_650) {
        bail!("the history cannot end before 1980: give --until a later day");
    }
    Ok(at)
}
