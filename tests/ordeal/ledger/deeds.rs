//! What operators do, as the ledger has it.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::program::{Played, Program};

/// What operators do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Cancel a job, of a program.
    Cancel(i64, String),
    /// Run a dead letter again with other arguments: the letter, and the program that takes its place.
    Requeue(Uuid, Program),
    /// Run a dead letter again as it is.
    Repeat(Uuid),
    /// Put a dead letter away.
    Discard(Uuid),
    /// Hold some of the programs; where that is planned, from when, by the clock of all.
    Hold(Held, Option<i64>),
    /// Let them go on.
    Free(Held),
    /// Hold the breaker of the programs' outside system closed, whatever fails; to let it go on frees that too.
    Close,
    /// Edit the retry policy.
    Edit(Edit),
    /// Run a workflow's job again from a step.
    Restart(i64, i32),
    /// Change a schedule, or run it by hand, when it had come so far.
    Schedule(Turn, Seen),
}

/// An edit of the retry policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The error category.
    pub category: String,
    /// The kind whose row is written; none for the row of the whole category.
    pub kind: Option<String>,
    /// The delays from then on; none where the row is taken away.
    pub backoff_seconds: Option<Vec<i32>>,
}

/// What is done with a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// It is paused.
    Pause,
    /// It goes on.
    Resume,
    /// It is to come every so many seconds of a minute.
    Every(i64),
    /// It is run by hand, the how-manieth time.
    Run(u32),
}

/// How far a schedule had come when an operator looked; a standby has what he saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct Seen {
    /// When he looked, by the database's clock.
    pub at: DateTime<Utc>,
    /// Up to when its occurrences had been dealt with; none while nobody knows of it.
    pub done_to: Option<DateTime<Utc>>,
}

impl Deed {
    /// The program that it gives a job.
    pub const fn program(&self) -> Option<&Program> {
        match self {
            Self::Requeue(_, program) => Some(program),
            Self::Cancel(..)
            | Self::Repeat(_)
            | Self::Discard(_)
            | Self::Hold(..)
            | Self::Free(_)
            | Self::Close
            | Self::Edit(_)
            | Self::Restart(..)
            | Self::Schedule(..) => None,
        }
    }

    /// The dead letter that it deals with.
    pub const fn letter(&self) -> Option<Uuid> {
        match self {
            Self::Requeue(letter, _) | Self::Repeat(letter) | Self::Discard(letter) => Some(*letter),
            Self::Cancel(..) | Self::Hold(..) | Self::Free(_) | Self::Close | Self::Edit(_) | Self::Restart(..) | Self::Schedule(..) => {
                None
            }
        }
    }
}

/// What operators hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// Every program.
    Queue,
    /// Those that are played so.
    Kind(Played),
    /// Those of a limit key.
    Key(String),
    /// Those that call an outside system, by its breaker.
    Breaker,
}

impl Held {
    /// Whether it is a program's.
    pub fn holds(&self, program: &Program) -> bool {
        match self {
            Self::Queue => true,
            Self::Kind(played) => program.played == *played,
            Self::Key(key) => program.limit.as_ref() == Some(key),
            Self::Breaker => program.played == Played::Calling,
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue => f.write_str("their queue"),
            Self::Kind(played) => write!(f, "the kind {}", played.kind()),
            Self::Key(key) => write!(f, "the key {key}"),
            Self::Breaker => f.write_str("their breaker"),
        }
    }
}
