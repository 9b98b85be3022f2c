//! `rawops limits`: how many jobs of a limit key run at once, and what is held.

use std::process::ExitCode;

use engine::{
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
};

/// What can be done with limits.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the limits with what is taken of them, and what is paused
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Set the limit of a key; it is in force at once, and jobs above a lower one run out
    Set(Set),
    /// Take back what `set` changed: what the program declares is in force again, or 100 jobs at once where it does not
    Unset {
        /// The key, or the beginning of keys with a *
        key: String,
        #[command(flatten)]
        format: Format,
    },
}

/// A limit and what it should be.
#[derive(Debug, clap::Args)]
#[group(id = "change", required = true, multiple = true, args = ["at_once", "in_order"])]
pub struct Set {
    /// The key, such as shop:42; shop:* for every key that begins with shop:, unless a longer name is its limit
    key: String,
    /// How many of its jobs run at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=10_000))]
    at_once: Option<i32>,
    /// Whether a job that failed keeps its place until it is tried again, so that none of its key overtakes it
    #[arg(long, value_name = "YES|NO", value_parser = ["yes", "no"])]
    in_order: Option<String>,
    #[command(flatten)]
    format: Format,
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
        Command::Set(Set { key, at_once, in_order, format }) => {
            let change = Change { cap: at_once, in_order: in_order.map(|word| word == "yes") };
            limit::set(pool, &key, change, &who()).await?;
            let now = limit::list(pool).await?.into_iter().find(|limit| limit.scope == "key" && limit.name == key);
            match now {
                Some(limit) if format.json => output::json(&limit),
                Some(limit) => output::print(format!("key {key}: {} from now on", rule(&limit))),
                None => output::print(format!("key {key}: somebody took the limit away at this moment")),
            }
        }
        Command::Unset { key, format } => {
            let declared = limit::unset(pool, &key).await?;
            if format.json {
                return output::json(&json!({ "unset": key, "declared": declared }));
            }
            output::print(match declared {
                Some(true) => format!("key {key}: what the program declares is in force again"),
                Some(false) => format!("key {key} has no limit of its own any more"),
                None => format!("key {key} had no limit of its own"),
            })
        }
    }
}

/// What a limit says, in words.
fn rule(limit: &Setting) -> String {
    let most = limit.cap.map_or_else(|| "100 jobs at once, as any key".to_string(), |cap| format!("{cap} at once"));
    if limit.in_order { format!("{most}, in order over retries") } else { most }
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
