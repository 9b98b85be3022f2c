//! The only Rust that runs the engine's SQL: one file a table, one function a statement in `sql/`.

pub mod attempt;
pub mod breaker;
pub mod brief;
pub mod cancel_request;
pub mod child;
pub mod claim;
pub mod clock;
pub mod compensation;
pub(crate) mod copy;
pub mod dead_letter;
pub mod doctor;
pub mod duty;
pub mod enqueue_key;
pub mod event;
pub mod job;
pub mod kind;
pub mod lane;
pub mod leader;
pub mod limit;
mod look;
pub mod note;
pub mod occurrence;
pub mod parked;
pub mod partition;
pub mod pause;
pub mod payload;
pub mod place;
pub mod queue;
pub mod retention;
pub mod retry_policy;
pub mod schedule;
pub mod scheduled;
pub mod standby;
pub mod step;
pub mod unique_period;
pub mod waiting;
pub mod why;
pub mod worker;
pub mod workflow;

/// Why the store refused.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or is away.
    #[error("{0}")]
    Database(#[from] sqlx::Error),
    /// The idempotency key was used before with other arguments.
    #[error("{0}")]
    KeyReused(String),
    /// The queue takes no more jobs for now, by the limit that an operator gave it.
    #[error("{0}")]
    QueueFull(String),
    /// The arguments are larger than a job's may be.
    #[error("the arguments are larger than 1 MiB: arguments are ids and small facts, so store the rest in a table and pass its id")]
    ArgumentsTooLarge,
    /// A batch's callback has no place for the counts.
    #[error("the arguments of a batch's callback are an object, to which the counts are added")]
    CallbackArguments,
    /// A batch's callback asks for what is not kept until it is called.
    #[error("the callback of a batch has {0}: it is enqueued once, when all jobs of the batch have ended")]
    NotForCallback(&'static str),
    /// The payload is larger than an event's may be.
    #[error("the payload is larger than 1 MiB: store it in a table and emit its id")]
    PayloadTooLarge,
    /// A job in a bulk enqueue carries an idempotency key.
    #[error("job {0} of this bulk enqueue has an idempotency key: enqueue it alone, or give it a unique key")]
    KeyedInBulk(usize),
    /// A job of a COPY asks for more than to be stored.
    #[error("job {0} of this COPY has {1}: enqueue it alone or with enqueue_many")]
    NotForCopy(usize, &'static str),
    /// The dead letter does not exist.
    #[error("there is no dead letter {0}: `rawops dead list` shows them")]
    NoSuchLetter(uuid::Uuid),
    /// The job does not exist, or did not die.
    #[error("there is no dead letter of job {0}")]
    NoLetterOfJob(crate::JobId),
    /// The dead letter was dealt with before.
    #[error("dead letter {0} is resolved already: {1}")]
    LetterResolved(uuid::Uuid, String),
    /// A live job holds the dead letter's unique key.
    #[error("dead letter {0} stays: job {1} holds its unique key and is still alive")]
    LetterKeyHeld(uuid::Uuid, crate::JobId),
    /// A dead letter of somebody else's making carries no job.
    #[error("dead letter {0} has no job of this engine to run again")]
    LetterWithoutJob(uuid::Uuid),
    /// The job does not exist, or did nothing that is kept.
    #[error("there is no workflow {0}")]
    NoSuchWorkflow(crate::JobId),
    /// The workflow cannot be run again from there.
    #[error("{0}")]
    NoRestart(String),
    /// The job does not exist.
    #[error("there is no job {0}")]
    NoSuchJob(crate::JobId),
    /// The change makes no sense; the sentence says why.
    #[error("{0}")]
    Refused(String),
    /// Arguments must be JSON.
    #[error("the arguments are not JSON: {0}")]
    Arguments(#[from] serde_json::Error),
    /// An event's payload must be JSON.
    #[error("the payload is not JSON: {0}")]
    Payload(serde_json::Error),
    /// The output of a job is not what was asked for.
    #[error("the output does not decode: {0}")]
    Output(serde_json::Error),
}

impl StoreError {
    /// What the database says of a change that makes no sense, in its own words.
    pub(crate) fn of_refusal(error: sqlx::Error) -> Self {
        match error.as_database_error() {
            Some(database) if matches!(database.code().as_deref(), Some("22023" | "23514")) => {
                Self::Refused(database.message().to_string())
            }
            _ => error.into(),
        }
    }
}

/// The text of `sql/<path>.sql`.
#[cfg(not(feature = "planted"))]
macro_rules! sql {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/", $path, ".sql"))
    };
}
/// The text of `sql/<path>.sql`, with what a test planted in it.
#[cfg(feature = "planted")]
macro_rules! sql {
    ($path:literal) => {
        crate::planted::statement($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/", $path, ".sql")))
    };
}
pub(crate) use sql;

/// The text that PostgreSQL takes in any text column: no NUL, at most `limit` bytes.
pub(crate) fn storable(text: &str, limit: usize) -> String {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].replace('\0', "\u{fffd}")
}
