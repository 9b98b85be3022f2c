//! `rawops workers`: which workers there are, and what they serve.

use std::process::ExitCode;

use engine::store::worker::{self, Registered};
use serde_json::Value;
use sqlx::PgPool;

use crate::{
    database::with_pool,
    logging,
    output::{self, Format, brief, moment},
};

/// The most characters of what a worker says of itself.
const BRIEF: usize = 60;

/// What can be done with workers.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the workers that live, newest last
    List {
        /// Also those that were declared dead and are still kept
        #[arg(long)]
        all: bool,
        /// How many at most, of the newest
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        #[command(flatten)]
        format: Format,
    },
}

pub async fn run(url: Option<&str>, command: Command) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    with_pool(url, async |pool| answer(pool, command).await).await?;
    Ok(ExitCode::SUCCESS)
}

async fn answer(pool: &PgPool, command: Command) -> anyhow::Result<()> {
    let Command::List { all, limit, format } = command;
    let workers = worker::list(pool, all, limit).await?;
    if format.json {
        return output::json(&workers);
    }
    if workers.is_empty() {
        return output::print(if all { "no workers" } else { "no living workers: `rawops worker` starts one" });
    }
    show(&workers)
}

fn show(workers: &[Registered]) -> anyhow::Result<()> {
    let row = |worker: &Registered| {
        // Whoever may write the row says what stands there.
        let info: Value = serde_json::from_str(worker.info.0.get()).unwrap_or_default();
        [
            worker.id.to_string(),
            brief(&worker.name, BRIEF),
            words(&info["pid"]),
            state(worker),
            moment(worker.started_at),
            moment(worker.lease_until),
            words(&info["version"]),
            words(&info["queues"]),
            words(&info["kinds"]),
        ]
    };
    output::table(["ID", "NAME", "PID", "STATE", "SINCE", "LEASE UNTIL", "VERSION", "QUEUES", "KINDS"], workers.iter().map(row))
}

fn state(worker: &Registered) -> String {
    match worker.dead_at {
        Some(at) => format!("declared dead at {}", moment(at)),
        None if worker.is_overdue => "its lease has run out".into(),
        None if worker.is_asleep => "asleep".into(),
        None => "awake".into(),
    }
}

/// A value as people read it: a text, a number, or a list of them.
fn words(value: &Value) -> String {
    let one = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let all = match value {
        Value::Array(values) => values.iter().map(one).collect::<Vec<_>>().join(", "),
        value => one(value),
    };
    brief(&all, BRIEF)
}
