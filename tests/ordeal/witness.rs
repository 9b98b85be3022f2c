//! What workers leave word of outside the database, past all fences, as they do it.

use std::{path::Path, sync::OnceLock};

use serde::{Deserialize, Serialize};

use crate::{clock, journal::Journal};

/// One word of a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Word {
    /// When, by the clock of all.
    pub at_us: i64,
    /// The process.
    pub pid: u32,
    /// The job.
    pub job: i64,
    /// Its attempt.
    pub attempt: i32,
    /// The worker, in this life.
    pub worker: i64,
    /// The program, or the queue of a probe.
    pub program: String,
    /// What it says.
    pub what: What,
}

/// What a worker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The handler begins, at the stage of so many counted attempts.
    Started(usize),
    /// The handler returns.
    Ended,
    /// An effect outside the database, of the act of this number.
    Outside(usize),
    /// A write was refused: the attempt is no longer its own.
    Refused,
}

/// The file, and the process that its words are of.
static JOURNAL: OnceLock<(Journal<Word>, u32)> = OnceLock::new();

/// Opens this process's file.
///
/// # Errors
/// The file system's.
pub fn open(folder: &Path) -> std::io::Result<()> {
    open_for(folder, std::process::id())
}

/// Opens this process's file for words of the process that it works for.
///
/// # Errors
/// The file system's.
pub fn open_for(folder: &Path, pid: u32) -> std::io::Result<()> {
    let journal = Journal::open(&folder.join(format!("witness-{}.jsonl", std::process::id())))?;
    // A second call would write to the same file.
    let _ = JOURNAL.set((journal, pid));
    Ok(())
}

fn opened() -> &'static (Journal<Word>, u32) {
    JOURNAL.get().expect("opened at the start of the process")
}

/// Leaves word.
pub fn say(run: &engine::Run, program: &str, what: What) {
    add(&word(run, program, what));
}

/// A word of an attempt, to be added now or later.
pub fn word(run: &engine::Run, program: &str, what: What) -> Word {
    Word {
        at_us: clock::now_us(),
        pid: opened().1,
        job: run.job_id().0,
        attempt: run.attempt(),
        worker: run.worker_id(),
        program: program.into(),
        what,
    }
}

/// Adds a word.
///
/// # Panics
/// When the file cannot be written: a run without witnesses proves nothing.
pub fn add(word: &Word) {
    opened().0.add(word).expect("the witness's file can be written");
}
