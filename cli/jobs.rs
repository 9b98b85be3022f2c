//! `rawops jobs`: which jobs there are, what became of one, how to make one, and how to stop it.

mod enqueue;

use std::process::ExitCode;

use engine::{
    JobId,
    store::{
        cancel_request::{self, Cancelled},
        job::{self, Attempt, Filter, Shown, Standing},
        note::Progress,
    },
};
use sqlx::PgPool;

use crate::{
    database::with_pool,
    logging,
    output::{self, Format, brief, moment, or_blank},
};

/// What can be done with jobs.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List jobs, newest first
    List {
        /// Only jobs in this state
        #[arg(long, value_parser = ["ready", "scheduled", "waiting", "parked", "running", "completed", "cancelled", "dead"])]
        state: Option<String>,
        /// Only jobs of this kind, such as orders.process_order
        #[arg(long)]
        kind: Option<String>,
        /// Only jobs of this queue
        #[arg(long)]
        queue: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        #[command(flatten)]
        format: Format,
    },
    /// Show one job: arguments, place and every attempt
    Show {
        #[arg(value_name = "ID", value_parser = id)]
        id: JobId,
        #[command(flatten)]
        format: Format,
    },
    /// Enqueue one job of a kind that this program knows
    Enqueue(enqueue::Enqueue),
    /// Ask a job to stop: at once when it waits, at the next renewal of its lease when it runs
    Cancel {
        #[arg(value_name = "ID", value_parser = id)]
        id: JobId,
        /// Why, for whoever reads the ledger
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        format: Format,
    },
}

pub async fn run(url: Option<&str>, command: Command) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    with_pool(url, async |pool| answer(pool, command).await).await
}

async fn answer(pool: &PgPool, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List { state, kind, queue, limit, format } => {
            let jobs = job::list(pool, &Filter { state, kind, queue }, limit).await?;
            if format.json { output::json(&jobs)? } else { show_list(&jobs)? }
        }
        Command::Show { id, format } => {
            let job = job::show(pool, id).await?;
            if format.json { output::json(&job)? } else { show_one(&job)? }
        }
        Command::Enqueue(args) => enqueue::run(pool, args).await?,
        Command::Cancel { id, reason, format } => {
            let answer = cancel_request::cancel(pool, id, &who(), reason.as_deref()).await?;
            if format.json { output::json(&answer)? } else { output::print(said(id, &answer))? }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A job's id as typed.
pub fn id(text: &str) -> Result<JobId, String> {
    text.parse().map_err(|_| "a job's id is a whole number, as `rawops jobs list` shows it".to_string())
}

/// Who acts, for the record.
pub fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default();
    if user.is_empty() { "an operator on the command line".into() } else { format!("{user} on the command line") }
}

fn said(id: JobId, answer: &Cancelled) -> String {
    match answer {
        Cancelled::Cancelled => format!("job {id} is cancelled"),
        Cancelled::Requested => format!("job {id} was asked to stop"),
        Cancelled::Already(state) => format!("job {id} had ended before: {state}"),
    }
}

fn show_list(jobs: &[Standing]) -> anyhow::Result<()> {
    if jobs.is_empty() {
        return output::print("no jobs");
    }
    let row = |job: &Standing| {
        [
            job.id.to_string(),
            job.state.clone(),
            job.kind.clone(),
            job.queue.clone(),
            or_blank(job.attempt),
            moment(job.created_at),
            note(job),
        ]
    };
    output::table(["ID", "STATE", "KIND", "QUEUE", "ATTEMPT", "CREATED", "NOTE"], jobs.iter().map(row))
}

/// What is worth knowing of a job in its state.
fn note(job: &Standing) -> String {
    let error = || job.error.as_deref().map(|error| brief(error, 60));
    match (job.state.as_str(), job.run_at, job.worker_id) {
        ("scheduled", Some(run_at), _) => match error() {
            Some(error) => format!("runs at {}, after: {error}", moment(run_at)),
            None => format!("runs at {}", moment(run_at)),
        },
        ("running", _, Some(worker)) => format!("on worker {worker}"),
        ("dead" | "cancelled" | "missing", _, _) => error().unwrap_or_default(),
        _ => String::new(),
    }
}

/// How far a job is, by its own word.
fn far(progress: &Progress) -> String {
    let total = progress.total.map(|total| format!(" of {total}")).unwrap_or_default();
    let note = progress.note.as_ref().map(|note| format!(", {note}")).unwrap_or_default();
    format!("{}{total}{note}, at {}", progress.done, moment(progress.updated_at))
}

fn show_one(job: &Shown) -> anyhow::Result<()> {
    let standing = &job.standing;
    let mut facts = vec![
        ("job", standing.id.to_string()),
        ("kind", format!("{} in queue {}, priority {}", standing.kind, standing.queue, standing.priority)),
        ("state", format!("{} {}", standing.state, note(standing)).trim_end().to_string()),
        ("created", moment(standing.created_at)),
        ("args", job.args.0.get().to_string()),
    ];
    let more = [
        ("progress", job.progress.as_ref().map(far)),
        ("output", job.output.as_ref().map(|output| output.0.get().to_string())),
        ("unique key", job.unique_key.clone()),
        ("limit key", job.limit_key.clone()),
        ("deadline", job.deadline.map(moment)),
        ("parent", job.parent_id.map(|id| id.to_string())),
        ("requeued from", job.requeued_from.map(|id| id.to_string())),
    ];
    facts.extend(more.into_iter().filter_map(|(name, value)| Some((name, value?))));
    for (name, value) in facts {
        output::print(format!("{name:<14}{value}"))?;
    }
    for line in &job.log {
        output::print(format!("{:<14}{} {}", "log", moment(line.logged_at), line.line))?;
    }
    if job.attempts.is_empty() { Ok(()) } else { show_attempts(&job.attempts) }
}

fn show_attempts(attempts: &[Attempt]) -> anyhow::Result<()> {
    output::print("")?;
    let rows = attempts.iter().map(|attempt| {
        let took = (attempt.finished_at - attempt.started_at).num_milliseconds();
        let why = [attempt.category.as_deref(), attempt.error.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": ");
        let (worker, policy) = (or_blank(attempt.worker_id), or_blank(attempt.policy_version));
        let (number, started, took) = (attempt.attempt.to_string(), moment(attempt.started_at), format!("{took} ms"));
        [number, attempt.outcome.clone(), started, took, worker, policy, brief(&why, 120)]
    });
    output::table(["ATTEMPT", "OUTCOME", "STARTED", "TOOK", "WORKER", "POLICY", "WHY"], rows)
}
