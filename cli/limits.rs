//! `rawops limits`: how many jobs of a queue, a kind or a limit key run at once and how often, and what is held.

use std::{process::ExitCode, time::Duration};

use engine::{
    Rate,
    store::{
        limit::{self, Change, Setting},
        pause,
    },
    why::Pause,
};
use serde_json::json;
use sqlx::PgPool;

use crate::{
    database::with_pool,
    jobs::who,
    logging,
    output::{self, Format, moment},
    pause::Held,
};

/// What can be done with limits.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the limits with what is taken of them, and what is paused
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Set a limit over the whole fleet; it is in force at once, and jobs above a lower one run out
    Set(Set),
    /// Take back what `set` changed: what the program declares is in force again, if it declares anything
    Unset {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        format: Format,
    },
}

/// Which limit.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// What it limits
    #[arg(value_enum)]
    scope: Held,
    /// A queue, a kind, or a key such as shop:42; shop:* for every key that begins with shop:, unless a longer name is its limit
    name: String,
}

/// A limit and what it should be.
#[derive(Debug, clap::Args)]
#[group(id = "change", required = true, multiple = true, args = ["at_once", "rate", "weight", "in_order"])]
pub struct Set {
    #[command(flatten)]
    which: Which,
    /// How many of its jobs run at once; `none` for any number, of a key for the hundred that each has
    #[arg(long, value_name = "N", value_parser = at_once)]
    at_once: Option<OrNone<i32>>,
    /// How many are let go in any span of a time, such as 100/1m, a twentieth of them at once; `none` for any number
    #[arg(long, value_name = "N/TIME", value_parser = rate)]
    rate: Option<OrNone<Rate>>,
    /// How many of the rate are let go at once; the others follow the more evenly for it
    #[arg(long, value_name = "N", requires = "rate")]
    burst: Option<u32>,
    /// How much of any rate a job of this kind takes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1000))]
    weight: Option<i32>,
    /// Whether a job of the key that failed keeps its place until it is tried again, so that none overtakes it
    #[arg(long, value_name = "YES|NO", value_parser = ["yes", "no"])]
    in_order: Option<String>,
    #[command(flatten)]
    format: Format,
}

/// One part of a limit: `none` takes it away.
type OrNone<T> = Option<T>;

/// A number of jobs as typed.
fn at_once(text: &str) -> Result<OrNone<i32>, String> {
    match text.parse() {
        _ if text == "none" => Ok(None),
        Ok(jobs @ 1..=10_000) => Ok(Some(jobs)),
        _ => Err("expected a number of jobs from 1 to 10000, or none".into()),
    }
}

/// A rate as typed.
fn rate(text: &str) -> Result<OrNone<Rate>, String> {
    if text == "none" {
        return Ok(None);
    }
    let wrong = || "a rate is a number of jobs, a slash and a time of 100ms to a year, such as 100/1m, or none".to_string();
    let (jobs, per) = text.split_once('/').ok_or_else(wrong)?;
    let jobs: u32 = jobs.parse().ok().filter(|jobs| (1..=1_000_000).contains(jobs)).ok_or_else(wrong)?;
    let per = humantime::parse_duration(per).map_err(|_| wrong())?;
    let sound = (Duration::from_millis(100)..=Duration::from_hours(8760)).contains(&per);
    if sound { Ok(Some(Rate::new(jobs, per))) } else { Err(wrong()) }
}

pub async fn run(url: Option<&str>, command: Command) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    with_pool(url, async |pool| answer(pool, command).await).await?;
    Ok(ExitCode::SUCCESS)
}

async fn answer(pool: &PgPool, command: Command) -> anyhow::Result<()> {
    match command {
        Command::List { format } => {
            let (limits, pauses) = (limit::list(pool).await?, pause::list(pool).await?);
            if format.json { output::json(&json!({ "limits": limits, "pauses": pauses })) } else { show(&limits, &pauses) }
        }
        Command::Set(set) => change(pool, set).await,
        Command::Unset { which: Which { scope, name }, format } => {
            let declared = limit::unset(pool, scope.scope(), &name).await?;
            if format.json {
                return output::json(&json!({ "unset": name, "declared": declared }));
            }
            let what = format!("{} {name}", scope.scope().as_str());
            output::print(match declared {
                Some(true) => format!("{what}: what the program declares is in force again"),
                Some(false) => format!("{what} has no limit of its own any more"),
                None => format!("{what} had no limit of its own"),
            })
        }
    }
}

async fn change(pool: &PgPool, set: Set) -> anyhow::Result<()> {
    let Which { scope, name } = set.which;
    let scope = scope.scope();
    let rate = match (set.rate, set.burst) {
        (Some(Some(rate)), Some(burst)) if burst == 0 || burst > rate.jobs() => {
            anyhow::bail!("--burst is from 1 to the whole rate, {}", rate.jobs())
        }
        (Some(Some(rate)), Some(burst)) => Some(Some(rate.burst(burst))),
        (Some(None), Some(_)) => anyhow::bail!("--burst is a part of the rate, and `--rate none` leaves no rate: leave --burst out"),
        (rate, _) => rate,
    };
    let change = Change { cap: set.at_once, in_order: set.in_order.map(|word| word == "yes"), rate, weight: set.weight };
    limit::set(pool, scope, &name, change, &who()).await?;
    let now = limit::list(pool).await?.into_iter().find(|limit| limit.scope == scope.as_str() && limit.name == name);
    match now {
        Some(limit) if set.format.json => output::json(&limit),
        Some(limit) => output::print(format!("{} {name}: {} from now on", scope.as_str(), rule(&limit))),
        None => output::print(format!("{} {name}: somebody took the limit away at this moment", scope.as_str())),
    }
}

/// What a limit says, in words.
fn rule(limit: &Setting) -> String {
    let mut said = Vec::new();
    match limit.cap {
        Some(cap) => said.push(format!("{cap} at once")),
        None if limit.scope == "key" => said.push("100 at once, as any key".to_string()),
        None => {}
    }
    if let (Some(rate), Some(per_ms), Some(burst)) = (limit.rate, limit.per_ms, limit.burst) {
        let per = humantime::format_duration(Duration::from_millis(per_ms.max(0) as u64));
        said.push(format!("{rate} in any {per}, {burst} of them together"));
    }
    if limit.weight != 1 {
        said.push(format!("each counts as {} of a rate", limit.weight));
    }
    if limit.in_order {
        said.push("in order over retries".to_string());
    }
    if said.is_empty() { "no limit".to_string() } else { said.join(", ") }
}

fn show(limits: &[Setting], pauses: &[Pause]) -> anyhow::Result<()> {
    if limits.is_empty() {
        output::print("no limits: each key has 100 jobs at once")?;
    } else {
        let row = |limit: &Setting| {
            let by = format!("{} at {}", limit.changed_by, moment(limit.changed_at));
            [limit.scope.clone(), limit.name.clone(), rule(limit), limit.taken.to_string(), by]
        };
        output::table(["SCOPE", "NAME", "LIMIT", "TAKEN", "SET BY"], limits.iter().map(row))?;
    }
    pauses.iter().try_for_each(|pause| output::print(pause.to_string()))
}
