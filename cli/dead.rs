//! `rawops dead`: what failed for good, and what an operator does about it.

use std::process::ExitCode;

use anyhow::Context;
use engine::{
    StoreError,
    store::{
        clock,
        dead_letter::{self, Cause, Filter, Letter},
    },
};
use serde_json::{json, value::RawValue};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    database::with_pool,
    jobs::who,
    logging,
    output::{self, Format, brief, counted, moment, or_blank},
};

/// What can be done with dead letters.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List dead letters, newest first
    List {
        /// Only letters of this kind of job, such as orders.process_order
        #[arg(long)]
        kind: Option<String>,
        /// Only letters of this error category, such as validation
        #[arg(long)]
        category: Option<String>,
        /// Only letters of this cause, as `rawops dead causes` names it
        #[arg(long)]
        fingerprint: Option<String>,
        /// Also those dealt with
        #[arg(long)]
        resolved: bool,
        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        #[command(flatten)]
        format: Format,
    },
    /// Count open dead letters by their causes: one kind, one category, and one error but for the numbers in it
    Causes {
        /// Only letters of this kind of job
        #[arg(long)]
        kind: Option<String>,
        /// Only letters of this error category
        #[arg(long)]
        category: Option<String>,
        /// How many causes at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        #[command(flatten)]
        format: Format,
    },
    /// Show one dead letter in full
    Show {
        #[arg(value_name = "ID", value_parser = id)]
        id: Uuid,
        #[command(flatten)]
        format: Format,
    },
    /// Run the job of a dead letter again, as a new job with a clean count of attempts
    Requeue(Requeue),
    /// Put a dead letter away for good
    Discard {
        #[arg(value_name = "ID", value_parser = id)]
        id: Uuid,
        /// Why; it stays with the letter
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        format: Format,
    },
}

/// Which letters to requeue, and how.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "rawops dead requeue <ID> [--args <JSON>]\n       rawops dead requeue --all [--kind <KIND>] [--category <CATEGORY>] [--fingerprint <CAUSE>]"
)]
pub struct Requeue {
    /// The letter
    #[arg(value_name = "ID", value_parser = id, required_unless_present = "all", conflicts_with = "all")]
    id: Option<Uuid>,
    /// Other arguments than the job had, as JSON
    #[arg(long, value_name = "JSON", conflicts_with = "all")]
    args: Option<String>,
    /// Every open letter, of the kind, category and cause that are named
    #[arg(long)]
    all: bool,
    /// With --all: only letters of this kind of job
    #[arg(long, requires = "all", conflicts_with = "id")]
    kind: Option<String>,
    /// With --all: only letters of this error category
    #[arg(long, requires = "all", conflicts_with = "id")]
    category: Option<String>,
    /// With --all: only letters of this cause, as `rawops dead causes` names it
    #[arg(long, value_name = "CAUSE", requires = "all", conflicts_with = "id")]
    fingerprint: Option<String>,
    #[command(flatten)]
    format: Format,
}

pub async fn run(url: Option<&str>, command: Command) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    with_pool(url, async |pool| answer(pool, command).await).await
}

async fn answer(pool: &PgPool, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List { kind, category, fingerprint, resolved, limit, format } => {
            let letters = dead_letter::list(pool, &Filter { kind, category, fingerprint, resolved }, limit).await?;
            if format.json { output::json(&letters)? } else { show_list(&letters)? }
        }
        Command::Causes { kind, category, limit, format } => {
            let causes = dead_letter::causes(pool, &Filter { kind, category, ..Filter::default() }, limit).await?;
            if format.json { output::json(&causes)? } else { show_causes(&causes)? }
        }
        Command::Show { id, format } => {
            let letter = dead_letter::show(pool, id).await?;
            if format.json { output::json(&letter)? } else { show_one(&letter)? }
        }
        Command::Requeue(Requeue { id: Some(id), args, format, .. }) => requeue(pool, id, args, format).await?,
        Command::Requeue(Requeue { kind, category, fingerprint, format, .. }) => {
            return requeue_all(pool, Filter { kind, category, fingerprint, resolved: false }, format).await;
        }
        Command::Discard { id, reason, format } => {
            dead_letter::discard(pool, id, &who(), &reason).await?;
            if format.json {
                output::json(&json!({ "discarded": id }))?;
            } else {
                output::print(format!("dead letter {id} is discarded"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A letter's id as typed.
fn id(text: &str) -> Result<Uuid, String> {
    text.parse().map_err(|_| "a dead letter's id is a UUID, as `rawops dead list` shows it".to_string())
}

async fn requeue(pool: &PgPool, id: Uuid, args: Option<String>, format: Format) -> anyhow::Result<()> {
    let args = match args {
        Some(text) => Some(checked(pool, id, text).await?),
        None => None,
    };
    let job_id = dead_letter::requeue(pool, id, &who(), args).await?;
    if format.json {
        return output::json(&json!({ "requeued": id, "job_id": job_id }));
    }
    output::print(format!("dead letter {id} runs again as job {job_id}"))
}

/// Arguments that are JSON, and what this program's job of that kind takes.
async fn checked(pool: &PgPool, id: Uuid, text: String) -> anyhow::Result<Box<RawValue>> {
    let kind = dead_letter::show(pool, id).await?.topic;
    let kinds = ::jobs::kinds();
    if kinds.names().contains(&kind) {
        kinds.fit(&kind, &text).map_err(|error| anyhow::anyhow!("--args: {error}"))?;
    }
    RawValue::from_string(text).context("--args are not JSON")
}

/// Requeues page by page what is open now, oldest first; a letter that has to stay is told of and passed over. What was done is told
/// of, whatever became of the rest.
async fn requeue_all(pool: &PgPool, filter: Filter, format: Format) -> anyhow::Result<ExitCode> {
    let (mut requeued, mut stayed) = (Vec::new(), Vec::new());
    let came = requeue_pages(pool, &filter, &mut requeued, &mut stayed).await;
    if format.json {
        let stayed: Vec<_> = stayed.iter().map(|(id, why)| json!({ "stayed": id, "why": why })).collect();
        output::json(&json!({ "requeued": requeued, "stayed": stayed }))?;
    } else {
        stayed.iter().try_for_each(|(_, why)| output::print(why))?;
        output::print(format!("{} requeued, {} stayed", counted(requeued.len(), "dead letter"), stayed.len()))?;
    }
    came.context("not all are done: the same command goes on with the rest")?;
    Ok(if stayed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn requeue_pages(
    pool: &PgPool,
    filter: &Filter,
    requeued: &mut Vec<serde_json::Value>,
    stayed: &mut Vec<(Uuid, String)>,
) -> anyhow::Result<()> {
    // What is requeued may die again while this goes on.
    let (until, by, mut seen) = (clock::now(pool).await?, who(), None);
    loop {
        let page = dead_letter::next_open(pool, filter, until, seen, dead_letter::MOST_AT_ONCE as i64).await?;
        let Some(last) = page.last() else { return Ok(()) };
        seen = Some(*last);
        let ids: Vec<Uuid> = page.iter().map(|letter| letter.id).collect();
        for answer in dead_letter::requeue_many(pool, &ids, &by, &[]).await? {
            match answer.job {
                Ok(job_id) => requeued.push(json!({ "requeued": answer.letter, "job_id": job_id })),
                // Another operator was quicker.
                Err(StoreError::LetterResolved(..)) => {}
                Err(why) => stayed.push((answer.letter, why.to_string())),
            }
        }
    }
}

fn show_list(letters: &[Letter]) -> anyhow::Result<()> {
    if letters.is_empty() {
        return output::print("no dead letters");
    }
    let row = |letter: &Letter| {
        let error = letter.error_message.as_deref().map(|error| brief(error, 70)).unwrap_or_default();
        let state = if letter.resolved { "resolved" } else { "open" };
        let (category, job) = (or_blank(letter.category.as_ref()), or_blank(letter.job_id));
        [letter.id.to_string(), state.to_string(), letter.topic.clone(), category, job, moment(letter.created_at), error]
    };
    output::table(["ID", "STATE", "KIND", "CATEGORY", "JOB", "DIED", "ERROR"], letters.iter().map(row))
}

fn show_causes(causes: &[Cause]) -> anyhow::Result<()> {
    if causes.is_empty() {
        return output::print("no dead letters");
    }
    let row = |cause: &Cause| {
        let error = cause.error_message.as_deref().map(|error| brief(error, 70)).unwrap_or_default();
        let (category, fingerprint) = (or_blank(cause.category.as_ref()), or_blank(cause.fingerprint.as_ref()));
        [cause.letters.to_string(), cause.topic.clone(), category, moment(cause.first_at), moment(cause.last_at), fingerprint, error]
    };
    output::table(["LETTERS", "KIND", "CATEGORY", "FIRST", "LAST", "FINGERPRINT", "LAST ERROR"], causes.iter().map(row))
}

fn show_one(letter: &Letter) -> anyhow::Result<()> {
    let resolved = letter.resolved.then(|| {
        let how = letter.resolution.as_deref().unwrap_or("no reason was kept");
        let by = letter.resolved_by.as_deref().unwrap_or("somebody");
        format!("{how}, by {by} at {}", or_blank(letter.resolved_at.map(moment)))
    });
    let facts = [
        ("dead letter", Some(letter.id.to_string())),
        ("kind", Some(letter.topic.clone())),
        ("queue", letter.queue.clone()),
        ("job", letter.job_id.map(|id| id.to_string())),
        ("category", letter.category.clone()),
        ("error", letter.error_message.clone()),
        ("attempts", letter.attempts.map(|attempts| attempts.to_string())),
        ("fingerprint", letter.fingerprint.clone()),
        ("died", Some(moment(letter.created_at))),
        ("args", Some(letter.payload.0.get().to_string())),
        ("resolved", resolved),
        ("runs again as", letter.requeued_job_id.map(|id| format!("job {id}"))),
    ];
    for (name, value) in facts.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        output::print(format!("{name:<14}{value}"))?;
    }
    Ok(())
}
