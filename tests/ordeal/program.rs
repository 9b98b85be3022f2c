//! Programs: what one job does, act by act, so that a sequential model can say how it must end.
//!
//! Attempts come and go under faults, and only those that the ledger counts move a program on: a failure, a panic or a
//! snooze ends one of its stages, a lost or released attempt repeats it.

use engine::Job as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kinds::{Play, PlayApart, PlayCalling, PlayTogether};

/// How many programs of each limit key run at once, and whether one keeps its place while it waits for its next attempt.
pub const LIMITS: [(&str, i32, bool); 3] = [("limit-1", 1, true), ("limit-2", 2, false), ("limit-3", 3, false)];

/// A key of which so many begin in any span of so many milliseconds.
pub const RATE: (&str, usize, i64) = ("rate", 3, 2000);

/// One thing that a program does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Takes its time, in milliseconds.
    Work(u64),
    /// Blocks a thread of the runtime, in milliseconds.
    Block(u64),
    /// Opens files until its process may open no more, and keeps them, in milliseconds.
    Files(u64),
    /// Does something outside of the database, under a key: the program and the act's number.
    Outside,
    /// Writes a row in a transaction of its own and goes on.
    Inside,
    /// Says how far it is, and a line of its log.
    Note,
    /// Enqueues another program and goes on.
    Child(Box<Program>),
    /// A step of a workflow that writes a row.
    Step,
    /// A step of a workflow that does something outside.
    StepOutside,
    /// A workflow's sleep, in milliseconds.
    Sleep(u64),
    /// A workflow takes note of a program that undoes what follows, should it die or be cancelled.
    Undo(Box<Program>),
    /// A workflow asks which way it is to go, of code that has changed: always the new one, since none is older.
    Patch,
    /// A workflow emits the event of this key.
    Emit(String),
    /// A workflow waits for the event of this key.
    Await(String),
    /// A workflow waits so many milliseconds for an event that nobody emits, and goes on without it.
    Vain(u64),
    /// A workflow makes children and waits for their ends.
    Join(Vec<Program>),
    /// A workflow makes children one by one and takes their ends as they come.
    JoinAny(Vec<Program>),
    /// A workflow makes a child and waits, a while at a time, for its end and for the event of this key, as they come.
    First(Box<Program>, String),
    /// A workflow begins anew behind this act, with nothing kept of what it did before.
    Continue,
    /// A workflow fails for good, unless it runs again from one of its steps.
    Stumble,
    /// Ends a stage: fails with a category.
    Fail(Blame),
    /// Ends a stage: panics.
    Panic,
    /// Ends a stage: asks to run again after so many milliseconds.
    Snooze(u64),
    /// Ends the job: it is no longer wanted.
    Cancel,
    /// Never ends by itself: somebody has to cancel the job.
    Hold,
    /// Ends its process, every time: its worker's, or its own where it has one.
    Die(Death),
    /// Ends the job well; the worker records it.
    Finish,
    /// Ends the job well in one commit with a row, and with more programs.
    FinishInside(Vec<Program>),
}

/// The categories that programs fail with. No fault of the outside makes one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// One attempt.
    Validation,
    /// Two.
    BusinessRule,
    /// Three.
    RateLimited,
    /// Four.
    Upstream,
}

/// How a program ends its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Death {
    /// It aborts.
    Abort,
    /// It uses up its stack.
    Stack,
    /// It uses up its memory.
    Memory,
}

/// What becomes of the job that holds a program's unique key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// It goes on, and the program has no job.
    #[default]
    Yields,
    /// It is cancelled, unless it runs: then the program has no job.
    Replaces,
    /// It is cancelled, and the program waits as [`DEBOUNCE_MS`] says; one that runs goes on without the key.
    Debounces,
}

/// With whom a program is played: its kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Played {
    /// In its worker, beside others.
    #[default]
    Alone,
    /// In one call with others, each with an outcome of its own.
    Together,
    /// In a process of its own, without the database.
    Apart,
    /// In its worker, beside others; what it does is to call an outside system.
    Calling,
}

impl Played {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Alone, Self::Together, Self::Apart, Self::Calling];

    /// The kind of job that plays programs so.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Alone => Play::KIND,
            Self::Together => PlayTogether::KIND,
            Self::Apart => PlayApart::KIND,
            Self::Calling => PlayCalling::KIND,
        }
    }

    /// Whether jobs of this kind play programs.
    pub fn is_of(kind: &str) -> bool {
        Self::ALL.iter().any(|played| played.kind() == kind)
    }
}

/// What the unique keys begin with under which programs replace each other.
pub const REPLACED: &str = "replaced";

/// And those under which they wait for each other.
pub const DEBOUNCED: &str = "debounced";

/// And those of children that several families may want.
pub const KIN: &str = "kin";

/// How long a debounced program waits for another, and how long at most after the first of them, in milliseconds.
pub const DEBOUNCE_MS: (u64, u64) = (700, 2500);

/// One job to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Its name, which no other of the run has.
    pub key: String,
    /// What it does.
    pub acts: Vec<Act>,
    /// Of one such key one job lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<String>,
    /// And this becomes of the one that has it.
    #[serde(default)]
    pub manner: Manner,
    /// With whom it is played.
    #[serde(default)]
    pub played: Played,
    /// Of one such key so many run at once as [`LIMITS`] says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// Not before so many milliseconds have passed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delay_ms: u64,
    /// Of no use when so many milliseconds have passed before it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// 0 runs first, 9 last.
    pub priority: i16,
    /// A cap under the policy's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<i16>,
    /// Something to carry, which must come back as it was.
    #[serde(default)]
    pub chaff: Value,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A number that follows from a value: the same for the same value, whatever was done to its text.
pub fn checksum(value: &Value) -> u32 {
    // FNV-1a over the text, in which keys have one order.
    value.to_string().bytes().fold(0x811c_9dc5, |sum: u32, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

impl Program {
    /// The kind of its job.
    pub const fn kind(&self) -> &'static str {
        self.played.kind()
    }
}

impl Act {
    /// Whether the engine remembers it: every attempt passes over it, and does it only the first time.
    pub const fn is_remembered(&self) -> bool {
        matches!(
            self,
            Self::Step
                | Self::StepOutside
                | Self::Sleep(_)
                | Self::Undo(_)
                | Self::Patch
                | Self::Emit(_)
                | Self::Await(_)
                | Self::Vain(_)
                | Self::Join(_)
                | Self::JoinAny(_)
                | Self::First(..)
                | Self::Continue
        )
    }

    /// Whether somebody else's program depends on it.
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::Emit(_) | Self::Await(_) | Self::Join(_) | Self::JoinAny(_) | Self::First(..))
    }
}

/// What an attempt does after so many were counted, with the numbers of the acts: those of its stage, and those of earlier
/// stages that the engine remembers.
pub fn due(acts: &[Act], counted: usize) -> impl Iterator<Item = (usize, &Act)> {
    let mut ended = 0;
    acts.iter().enumerate().filter(move |(_, act)| {
        let stage = ended;
        ended += usize::from(matches!(act, Act::Fail(_) | Act::Panic | Act::Snooze(_)));
        stage == counted || (stage < counted && act.is_remembered())
    })
}
