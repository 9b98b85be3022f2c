//! `rawops jobs enqueue`: one job of a kind that this program knows, with arguments that are held to the kind's schema.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use chrono::{DateTime, TimeDelta, Utc};
use clap::builder::NonEmptyStringValueParser;
use engine::{Client, Enqueued, NewJob, StoreError, sqlstate, store::clock};
use serde_json::value::RawValue;
use sqlx::PgPool;

use crate::output::{self, Format};

/// The most bytes that are read of a file: arguments may have a quarter of it, without the blanks and line breaks between them.
const FILE_BYTES: u64 = 4 << 20;
/// Whose idempotency keys these are: of one producer, so that a second try may come from another person or machine.
const PRODUCER: &str = "the command line";

/// The job, and when it runs.
#[derive(Debug, clap::Args)]
pub struct Enqueue {
    /// Its kind, such as orders.process_order
    #[arg(value_name = "KIND")]
    kind: String,
    /// Its arguments as JSON; {} when they are left out
    #[arg(long, value_name = "JSON", conflicts_with = "args_file")]
    args: Option<String>,
    /// The file that holds its arguments; - for standard input
    #[arg(long, value_name = "FILE")]
    args_file: Option<PathBuf>,
    /// Another queue than the kind's
    #[arg(long)]
    queue: Option<String>,
    /// 0 runs first, 9 last; the kind's own when it is left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(0..=9))]
    priority: Option<i16>,
    /// Not before this time, such as 2027-01-31T22:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "after")]
    run_at: Option<DateTime<Utc>>,
    /// Not before so long from now, such as 30m or 4h
    #[arg(long = "in", value_name = "DURATION", value_parser = humantime::parse_duration)]
    after: Option<Duration>,
    /// No attempt begins after this time
    #[arg(long, value_name = "TIME")]
    deadline: Option<DateTime<Utc>>,
    /// At most one live job of the kind has this key
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    unique_key: Option<String>,
    /// It counts against the limit of this key, such as shop:42
    #[arg(long, value_name = "KEY")]
    limit_key: Option<String>,
    /// A cap on its attempts under the retry policy's own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    max_attempts: Option<i16>,
    /// Makes it safe to try again: the same key makes no second job, even after the first has ended
    #[arg(long, value_name = "KEY", value_parser = idempotency_key)]
    idempotency_key: Option<String>,
    #[command(flatten)]
    format: Format,
}

/// As the header of `POST /v1/jobs` takes it.
fn idempotency_key(text: &str) -> Result<String, String> {
    let is_sound = (1..=200).contains(&text.len()) && text.chars().all(|letter| letter.is_ascii_graphic() || letter == ' ');
    if is_sound { Ok(text.into()) } else { Err("an idempotency key is 1 to 200 visible ASCII characters".into()) }
}

pub async fn run(pool: &PgPool, args: Enqueue) -> anyhow::Result<()> {
    let format = args.format;
    let job = of_kind(&args)?;
    let run_at = match args.after {
        Some(after) => Some(from_now(pool, after).await?),
        None => args.run_at,
    };
    let job = with_options(job, args, run_at);
    let enqueued = Client::new(pool.clone()).enqueue(&job).await.map_err(refused)?;
    if format.json { output::json(&enqueued) } else { output::print(said(&job, enqueued)) }
}

/// A job of the kind, with arguments that the kind takes.
fn of_kind(args: &Enqueue) -> anyhow::Result<NewJob> {
    let kinds = ::jobs::kinds();
    let names = kinds.names();
    if !names.contains(&args.kind) {
        bail!("this program knows no kind {}: it knows {}", args.kind, names.join(", "));
    }
    let (option, text) = match (&args.args, &args.args_file) {
        (Some(text), _) => ("--args", text.clone()),
        (None, Some(file)) => ("--args-file", read(file)?),
        (None, None) => ("--args", "{}".to_string()),
    };
    let given = RawValue::from_string(text).map_err(|error| anyhow!("{option}: this is no JSON: {error}"))?;
    kinds.job(&args.kind, given).map_err(|why| anyhow!("{option}: {why}"))
}

fn read(file: &Path) -> anyhow::Result<String> {
    let unread = |why: &dyn std::fmt::Display| anyhow!("--args-file: cannot read {}: {why}", file.display());
    let source: Box<dyn Read> =
        if file == Path::new("-") { Box::new(std::io::stdin()) } else { Box::new(File::open(file).map_err(|error| unread(&error))?) };
    let mut bytes = Vec::new();
    source.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| unread(&error))?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(StoreError::ArgumentsTooLarge.into());
    }
    String::from_utf8(bytes).map_err(|_| unread(&"it is not UTF-8"))
}

/// So long from now, by the database's clock.
async fn from_now(pool: &PgPool, after: Duration) -> anyhow::Result<DateTime<Utc>> {
    let now = clock::now(pool).await?;
    let then = TimeDelta::from_std(after).ok().and_then(|after| now.checked_add_signed(after));
    then.context("--in is longer than there will be time")
}

fn with_options(job: NewJob, args: Enqueue, run_at: Option<DateTime<Utc>>) -> NewJob {
    let job = given(job, args.queue, NewJob::queue);
    let job = given(job, args.priority, NewJob::priority);
    let job = given(job, run_at, NewJob::run_at);
    let job = given(job, args.deadline, NewJob::deadline);
    let job = given(job, args.unique_key, NewJob::unique_key);
    let job = given(job, args.limit_key, NewJob::limit_key);
    let job = given(job, args.max_attempts, NewJob::max_attempts);
    given(job, args.idempotency_key, |job, key| job.idempotency_key(PRODUCER, key))
}

/// The job with an option, where that is given.
fn given<T>(job: NewJob, value: Option<T>, option: impl FnOnce(NewJob, T) -> NewJob) -> NewJob {
    match value {
        Some(value) => option(job, value),
        None => job,
    }
}

fn said(job: &NewJob, Enqueued { id, created, .. }: Enqueued) -> String {
    let (queue, kind, priority) = job.lane();
    if created {
        format!("job {id} is enqueued: {kind} in queue {queue}, priority {priority}")
    } else {
        format!("job {id} has this key already: no other was made")
    }
}

/// What the database says of a job that it does not take, with the way out.
fn refused(error: StoreError) -> anyhow::Error {
    match error {
        StoreError::QueueFull(why) => anyhow!("{why}: try again when some have run, or raise it with `rawops queues set`"),
        // Who acts in rawops_operator, which other commands ask for, may not make jobs.
        StoreError::Database(error) if sqlstate::code(&error).as_deref() == Some("42501") => anyhow!(
            "this user may not enqueue jobs: make it a member of the role for it, as in `grant rawops_runtime to …`, or send the job to \
             `POST /v1/jobs`"
        ),
        other => other.into(),
    }
}
