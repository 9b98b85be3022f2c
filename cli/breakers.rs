//! `rawops breakers`: which outside systems are called at this moment, and by which rule that is decided.

use std::{process::ExitCode, time::Duration};

use engine::store::breaker::{self, Breaker, Held, Rule};
use serde_json::json;
use sqlx::PgPool;

use crate::{
    database::with_pool,
    jobs::who,
    logging,
    output::{self, Format, brief, moment},
};

/// What can be done with breakers.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the outside systems: whether they are called, since when, and what went wrong last
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Hold the jobs that call a system until `auto`, whatever is counted; none is tried
    Open(Hold),
    /// Let the jobs that call a system run until `auto`, whatever is counted
    Close(Hold),
    /// Let what is counted decide again; a system that was held open is tried with one job first
    Auto(Hold),
    /// Change when a breaker opens and how long it stays open; in force at once
    Set(Set),
}

/// Which system, and why.
#[derive(Debug, clap::Args)]
pub struct Hold {
    /// The system, as `rawops breakers list` shows it
    system: String,
    /// Why, for whoever asks `rawops why`
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    format: Format,
}

/// A system and by which rule its breaker opens.
#[derive(Debug, clap::Args)]
#[group(id = "change", required = true, multiple = true, args = ["share", "at_least", "window", "cooldown", "longest", "categories"])]
pub struct Set {
    /// The system, as `rawops breakers list` shows it
    system: String,
    /// It opens when so many percent of the attempts in the window failed
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=100))]
    share: Option<u8>,
    /// Of at least so many attempts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=100_000))]
    at_least: Option<i32>,
    /// The window, from 1s to 1h
    #[arg(long, value_name = "TIME", value_parser = span)]
    window: Option<i32>,
    /// How long it stays open before the first job is tried, from 100ms to 1d
    #[arg(long, value_name = "TIME", value_parser = span)]
    cooldown: Option<i32>,
    /// How long at most, after tries that failed
    #[arg(long, value_name = "TIME", value_parser = span)]
    longest: Option<i32>,
    /// The error categories that say that the system is down, such as network,timeout
    #[arg(long, value_name = "CATEGORIES", value_delimiter = ',')]
    categories: Option<Vec<String>>,
    #[command(flatten)]
    format: Format,
}

/// A time as typed, in milliseconds.
fn span(text: &str) -> Result<i32, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    i32::try_from(time.as_millis()).map_err(|_| "that is longer than a day".to_string())
}

pub async fn run(url: Option<&str>, command: Command) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    with_pool(url, async |pool| answer(pool, command).await).await?;
    Ok(ExitCode::SUCCESS)
}

async fn answer(pool: &PgPool, command: Command) -> anyhow::Result<()> {
    match command {
        Command::List { format } => {
            let breakers = breaker::list(pool).await?;
            if format.json { output::json(&json!({ "breakers": breakers })) } else { show(&breakers) }
        }
        Command::Open(args) => hold(pool, args, Some(Held::Open)).await,
        Command::Close(args) => hold(pool, args, Some(Held::Closed)).await,
        Command::Auto(args) => hold(pool, args, None).await,
        Command::Set(args) => set(pool, args).await,
    }
}

async fn hold(pool: &PgPool, args: Hold, held: Option<Held>) -> anyhow::Result<()> {
    let Hold { system, reason, format } = args;
    let found = breaker::hold(pool, &system, held, &who(), reason.as_deref()).await?;
    anyhow::ensure!(found, "there is no breaker {system}: `rawops breakers list` shows those that there are");
    if format.json {
        return output::json(&json!({ "system": system, "held": held.map(Held::as_str) }));
    }
    output::print(match held {
        Some(Held::Open) => format!("the jobs that call {system} are held until `rawops breakers auto {system}`; what runs goes on"),
        Some(Held::Closed) => format!("the jobs that call {system} run until `rawops breakers auto {system}`, whatever fails"),
        None => format!("what is counted decides about {system} again"),
    })
}

async fn set(pool: &PgPool, args: Set) -> anyhow::Result<()> {
    let Set { system, share, at_least, window, cooldown, longest, categories, format } = args;
    let rule = Rule {
        share: share.map(|percent| f64::from(percent) / 100.0),
        at_least,
        window_ms: window,
        categories,
        cooldown_ms: cooldown,
        cooldown_most_ms: longest,
    };
    let found = breaker::set(pool, &system, &rule, &who()).await?;
    let now = breaker::list(pool).await?.into_iter().find(|breaker| breaker.system == system).filter(|_| found);
    match now {
        None => anyhow::bail!("there is no breaker {system}: `rawops breakers list` shows those that there are"),
        Some(breaker) if format.json => output::json(&breaker),
        Some(breaker) => output::print(format!("breaker {system} opens {} from now on", words(&breaker))),
    }
}

/// When a breaker opens, and for how long.
fn words(breaker: &Breaker) -> String {
    let time = |ms: i32| humantime::format_duration(Duration::from_millis(ms.max(0) as u64)).to_string();
    format!(
        "when {:.0} % of {} or more attempts within {} fail ({}), for {} to {}",
        breaker.share * 100.0,
        breaker.at_least,
        time(breaker.window_ms),
        breaker.categories.join(", "),
        time(breaker.cooldown_ms),
        time(breaker.cooldown_most_ms)
    )
}

fn show(breakers: &[Breaker]) -> anyhow::Result<()> {
    if breakers.is_empty() {
        return output::print("no breakers: no kind of job that a worker knows says which outside system it calls");
    }
    let row = |breaker: &Breaker| {
        let next = match (&breaker.held_by, breaker.probe_at, breaker.probe_job) {
            (Some(by), ..) => format!("held by {by}{}", breaker.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default()),
            (None, Some(at), _) => format!("probe at {}", moment(at)),
            (None, None, Some(job)) => format!("job {job} is the probe"),
            (None, None, None) => format!("opens {}", words(breaker)),
        };
        let last = match (breaker.last_failed_at, &breaker.last_error) {
            (Some(at), error) => format!("{}: {}", moment(at), brief(error.as_deref().unwrap_or_default(), 60)),
            (None, _) => String::new(),
        };
        let share = format!("{} of {}", breaker.failed, breaker.ended);
        [breaker.system.clone(), breaker.state.replace('_', " "), moment(breaker.since), share, next, last]
    };
    output::table(["SYSTEM", "STATE", "SINCE", "FAILED", "NEXT", "LAST FAILURE"], breakers.iter().map(row))
}
