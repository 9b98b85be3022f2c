//! `rawops queues`: how deep the queues are, and how deep they may become.

use std::process::ExitCode;

use anyhow::bail;
use engine::store::queue::{self, Queue};
use sqlx::PgPool;

use crate::{
    database::with_pool,
    logging,
    output::{self, Format, or_blank},
};

/// What can be done with queues.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the queues: jobs that are ready and scheduled, the age of the first, and the limit
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Let a queue take no more jobs while so many are ready; what is there already stays
    Set {
        #[arg(value_name = "NAME")]
        name: String,
        /// With so many jobs ready, it refuses more; `none` lets it take as many as come
        #[arg(long, value_name = "JOBS", value_parser = limit)]
        depth_limit: Limit,
        #[command(flatten)]
        format: Format,
    },
}

/// A limit, or none.
#[derive(Debug, Clone, Copy)]
pub struct Limit(Option<i64>);

fn limit(text: &str) -> Result<Limit, String> {
    match text.parse() {
        _ if text == "none" => Ok(Limit(None)),
        Ok(limit) if limit > 0 => Ok(Limit(Some(limit))),
        _ => Err("a limit is a number of jobs from 1, or none".into()),
    }
}

pub async fn run(url: Option<&str>, command: Command) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    with_pool(url, async |pool| answer(pool, command).await).await
}

async fn answer(pool: &PgPool, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List { format } => {
            let queues = queue::list(pool).await?;
            if format.json { output::json(&queues)? } else { show(&queues)? }
        }
        Command::Set { name, depth_limit: Limit(limit), format } => {
            queue::set_limit(pool, &name, limit).await?;
            let Some(queue) = queue::list(pool).await?.into_iter().find(|queue| queue.name == name) else { bail!("queue {name} is gone") };
            if format.json { output::json(&queue)? } else { output::print(said(&queue))? }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn said(queue: &Queue) -> String {
    match queue.depth_limit {
        Some(limit) => format!("queue {} refuses jobs while {limit} are ready; {} are now", queue.name, queue.ready),
        None => format!("queue {} takes as many jobs as come; {} are ready now", queue.name, queue.ready),
    }
}

fn show(queues: &[Queue]) -> anyhow::Result<()> {
    let row = |queue: &Queue| {
        let oldest = format!("{:.1}", queue.oldest_ms as f64 / 1000.0);
        [queue.name.clone(), queue.ready.to_string(), queue.scheduled.to_string(), oldest, or_blank(queue.depth_limit)]
    };
    output::table(["QUEUE", "READY", "SCHEDULED", "OLDEST (S)", "LIMIT"], queues.iter().map(row))
}
