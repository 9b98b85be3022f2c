//! The ledger: everything that was meant and acknowledged, outside the database.

mod deeds;

use std::{io, path::Path};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    clock,
    faults::{Class, NOTHING},
    journal::Journal,
    program::Program,
};

pub use deeds::{Deed, Edit, Held, Seen, Turn};

/// Something that a producer means to do; on the disk before it does it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Intent {
    /// When.
    pub at_us: i64,
    /// The programs, several when they are enqueued together: all or none.
    pub programs: Vec<Program>,
    /// Whether it is asked again until there is an answer.
    pub keyed: bool,
    /// Whether they go together by COPY.
    #[serde(default)]
    pub copied: bool,
    /// What is called back when all of them have ended, of a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Program>,
}

/// What a producer was told; on the disk before it goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ack {
    /// When.
    pub at_us: i64,
    /// The first program's name.
    pub key: String,
    /// The jobs, one a program; none where a live job held the unique key.
    pub jobs: Vec<Option<i64>>,
    /// Whether this call made the job, of a single one.
    pub created: bool,
    /// How often it had to be asked again.
    pub asked_again: u32,
    /// Whether a web process was asked.
    #[serde(default)]
    pub over_http: bool,
}

impl Ack {
    /// What was told at this moment, by the database itself.
    pub fn now(key: String, jobs: Vec<Option<i64>>, created: bool, asked_again: u32) -> Self {
        Self { at_us: clock::now_us(), key, jobs, created, asked_again, over_http: false }
    }
}

/// What an operator did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Act {
    /// When it was asked.
    pub asked_us: i64,
    /// When it was answered; none while it is an intent.
    pub answered_us: Option<i64>,
    /// What.
    pub what: Deed,
    /// The answer.
    pub answer: Option<Answer>,
}

/// What an operator was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A letter's job runs again as this one.
    Requeued(i64),
    /// The letter is put away.
    Discarded,
    /// Somebody has dealt with the letter already: another robot, or this one, when its answer was lost.
    Resolved,
    /// The letter stays, because this job has its unique key.
    HeldBy(i64),
    /// A schedule is as was asked, since this moment by the database's clock.
    Changed(DateTime<Utc>),
    /// It was so already, and is at this moment.
    Already(DateTime<Utc>),
    /// This job was made.
    Made(i64),
    /// What the engine says otherwise.
    Words(String),
}

impl Act {
    /// The words that it was answered with; none where the answer is of another sort.
    pub fn words(&self) -> &str {
        match &self.answer {
            Some(Answer::Words(words)) => words,
            _ => "",
        }
    }
}

/// A webhook that was accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Accepted {
    /// When.
    pub at_us: i64,
    /// The order's place in the shop's sequence.
    pub order: u64,
    /// The delivery's place among the order's.
    pub delivery: usize,
    /// How often it had to be sent again.
    pub sent_again: u32,
}

/// A job whose shape differs between versions, and that was acknowledged.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shaped {
    /// Its place among them.
    pub number: u64,
    /// The job.
    pub job: i64,
    /// Its kind.
    pub kind: String,
}

/// A mail that was put into the outbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mail {
    /// When.
    pub at_us: i64,
    /// Its row.
    pub id: Uuid,
}

/// What somebody saw who looked at the breaker of the programs' outside system.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Look {
    /// When he was answered.
    pub at_us: i64,
    /// The last change that was there, of its trail.
    pub last: i64,
}

/// A fault, from its beginning to its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fault {
    /// Its class.
    pub class: String,
    /// When it began, by the clock of all.
    pub begin_us: i64,
    /// When it was healed.
    pub end_us: i64,
    /// When it began, by the wall.
    pub begin: DateTime<Utc>,
    /// When it was healed, by the wall.
    pub end: DateTime<Utc>,
    /// What it struck, and how.
    pub note: String,
}

impl Fault {
    /// Whether it struck anything, and is of such a class.
    pub fn struck(&self, is_such: impl FnOnce(Class) -> bool) -> bool {
        self.note != NOTHING && self.class.parse::<Class>().is_ok_and(is_such)
    }
}

/// A run's ledger, to write to.
pub struct Ledger {
    /// What producers mean to do.
    pub intents: Journal<Intent>,
    /// What they were told.
    pub acks: Journal<Ack>,
    /// What operators did.
    pub acts: Journal<Act>,
    /// Webhooks that were accepted.
    pub accepted: Journal<Accepted>,
    /// Jobs of two versions that were acknowledged.
    pub shaped: Journal<Shaped>,
    /// Mails that were put into the outbox.
    pub mails: Journal<Mail>,
    /// What was seen of the breaker of the programs' outside system.
    pub looks: Journal<Look>,
    /// Faults.
    pub faults: Journal<Fault>,
}

impl Ledger {
    /// Opens the ledger of a run.
    ///
    /// # Errors
    /// The file system's.
    pub fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            intents: Journal::open(&folder.join("intents.jsonl"))?,
            acks: Journal::open(&folder.join("acks.jsonl"))?,
            acts: Journal::open(&folder.join("acts.jsonl"))?,
            accepted: Journal::open(&folder.join("accepted.jsonl"))?,
            shaped: Journal::open(&folder.join("shaped.jsonl"))?,
            mails: Journal::open(&folder.join("mails.jsonl"))?,
            looks: Journal::open(&folder.join("looks.jsonl"))?,
            faults: Journal::open(&folder.join("faults.jsonl"))?,
        })
    }

    /// An operator's deed, on the disk before it is done.
    ///
    /// # Errors
    /// The file system's.
    pub fn means(&self, what: Deed) -> io::Result<Act> {
        let act = Act { asked_us: clock::now_us(), answered_us: None, what, answer: None };
        self.acts.add_synced(&act)?;
        Ok(act)
    }

    /// The answer to an operator's deed.
    ///
    /// # Errors
    /// The file system's.
    pub fn was_told(&self, act: Act, answer: Answer) -> io::Result<()> {
        self.acts.add_synced(&Act { answered_us: Some(clock::now_us()), answer: Some(answer), ..act })
    }
}
