//! `rawops pause` and `rawops resume`: hold the jobs of a queue, a kind or a key, and let them go on.

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use engine::store::{
    clock,
    pause::{self, Scope, Window},
};
use serde_json::json;
use sqlx::PgPool;

use crate::{
    database::with_pool,
    jobs::who,
    logging,
    output::{self, Format, counted, moment},
};

/// What is held or let go.
#[derive(Debug, clap::Args)]
pub struct What {
    /// What to hold
    #[arg(value_enum)]
    scope: Held,
    /// Its name: a queue, a kind such as orders.process_order, or a limit key; shop:* for every key that begins with shop:
    name: String,
    #[command(flatten)]
    format: Format,
}

/// What can be held.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Held {
    /// All jobs of a queue
    Queue,
    /// All jobs of a kind
    Kind,
    /// All jobs with a limit key
    Key,
}

impl Held {
    /// As the engine names it.
    pub const fn scope(self) -> Scope {
        match self {
            Self::Queue => Scope::Queue,
            Self::Kind => Scope::Kind,
            Self::Key => Scope::Key,
        }
    }
}

/// A pause.
#[derive(Debug, clap::Args)]
pub struct Pause {
    #[command(flatten)]
    what: What,
    /// Why, for whoever asks `rawops why`
    #[arg(long)]
    reason: Option<String>,
    /// From when, such as 2027-01-31T22:00:00Z; from now on when it is left out
    #[arg(long, value_name = "TIME")]
    from: Option<DateTime<Utc>>,
    /// Until when, such as 2027-02-01T02:00:00Z; then the jobs go on by themselves
    #[arg(long, value_name = "TIME", conflicts_with = "lasts")]
    until: Option<DateTime<Utc>>,
    /// For how long, such as 30m or 4h
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    lasts: Option<Duration>,
}

pub async fn pause(url: Option<&str>, args: Pause) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    with_pool(url, async |pool| hold(pool, args).await).await?;
    Ok(ExitCode::SUCCESS)
}

async fn hold(pool: &PgPool, args: Pause) -> anyhow::Result<()> {
    let What { scope, name, format } = args.what;
    let until = match args.lasts {
        None => args.until,
        Some(lasts) => {
            let from = match args.from {
                Some(from) => from,
                None => clock::now(pool).await?,
            };
            let lasts = TimeDelta::from_std(lasts).ok().and_then(|lasts| from.checked_add_signed(lasts));
            Some(lasts.context("--for is longer than there will be time")?)
        }
    };
    let window = Window { from: args.from, until };
    let scope = scope.scope();
    pause::begin(pool, scope, &name, window, &who(), args.reason.as_deref()).await?;
    if format.json {
        return output::json(&json!({ "paused": { "scope": scope.as_str(), "name": name, "from": args.from, "until": until } }));
    }
    let from = args.from.map(|from| format!(" from {}", moment(from))).unwrap_or_default();
    let until = until.map_or_else(|| "until `rawops resume`".to_string(), |until| format!("until {}", moment(until)));
    output::print(format!("{} {name} is paused{from} {until}; what runs goes on", scope.as_str()))
}

pub async fn resume(url: Option<&str>, args: What) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    let What { scope, name, format } = args;
    let scope = scope.scope();
    let ended = with_pool(url, async |pool| Ok(pause::resume(pool, scope, &name, &who()).await?)).await?;
    if format.json {
        output::json(&json!({ "resumed": { "scope": scope.as_str(), "name": name, "pauses": ended } }))?;
    } else if ended == 0 {
        output::print(format!("{} {name} was not paused", scope.as_str()))?;
    } else {
        output::print(format!("{} {name} goes on; {} ended", scope.as_str(), counted(ended as usize, "pause")))?;
    }
    Ok(ExitCode::SUCCESS)
}
