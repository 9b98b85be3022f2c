//! Failpoints in a process of a run: which it has reached, and where it comes to harm.

use std::{
    collections::{BTreeSet, HashSet},
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    str::FromStr,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use engine::failpoint::{Act, STATEMENTS, Side, install};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};

/// Where and how a process comes to harm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// The statement.
    pub statement: String,
    /// After it, not before.
    pub after: bool,
    /// The how-manieth time.
    pub time: u32,
    /// What happens.
    pub doing: Doing,
}

/// What happens to a process at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// It is killed.
    Kill,
    /// It is stopped; the supervisor lets it go on later.
    Stop,
    /// Its connection seems broken, again and again.
    Fail,
    /// It is held up for so many milliseconds.
    Wait(u64),
}

impl Doing {
    /// The word for it in the ledger.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Fail => "fail",
            Self::Wait(_) => "wait",
        }
    }
}

/// A place that faults are directed to, with the harm: `stop before claim/take`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// What happens; how long a process is held up is drawn.
    pub doing: Doing,
    /// After the statement, not before.
    pub after: bool,
    /// The statement.
    pub statement: &'static str,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no place: write `stop before claim/take`, with kill, stop, fail or wait, and before or after");
        let mut words = text.splitn(3, ' ');
        let doing = match words.next() {
            Some("kill") => Doing::Kill,
            Some("stop") => Doing::Stop,
            Some("fail") => Doing::Fail,
            Some("wait") => Doing::Wait(0),
            _ => return Err(wrong()),
        };
        let after = match words.next() {
            Some("before") => false,
            Some("after") => true,
            _ => return Err(wrong()),
        };
        let named = words.next().ok_or_else(wrong)?;
        let statement = STATEMENTS.into_iter().find(|statement| *statement == named);
        Ok(Self { doing, after, statement: statement.ok_or_else(|| format!("{named} is no statement with a place"))? })
    }
}

/// The name of a place in the table of coverage.
pub fn name(statement: &str, after: bool) -> String {
    format!("{statement} {}", if after { "after" } else { "before" })
}

/// Notes every place that this process reaches for the first time, and does it harm where it is armed.
///
/// # Errors
/// The file system's.
pub fn watch(folder: &Path, arm: Option<Arm>) -> io::Result<()> {
    let file = OpenOptions::new().create(true).append(true).open(folder.join(format!("places-{}.txt", std::process::id())))?;
    let seen: Mutex<(HashSet<(&str, bool)>, File)> = Mutex::new((HashSet::new(), file));
    let times = AtomicU32::new(0);
    install(move |statement, side| {
        let after = side == Side::After;
        note(&seen, statement, after);
        match &arm {
            Some(arm) if arm.statement == statement && arm.after == after => harm(arm, times.fetch_add(1, Ordering::AcqRel) + 1),
            _ => Act::Go,
        }
    });
    Ok(())
}

static HERE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn reached() -> MutexGuard<'static, BTreeSet<String>> {
    HERE.lock().expect("no holder of this lock panics")
}

/// Notes the places that the supervisor itself reaches, as producers and operators do; from then on.
pub fn watch_here() {
    install(|statement, side| {
        reached().insert(name(statement, side == Side::After));
        Act::Go
    });
}

/// The places that the supervisor has reached.
pub fn here() -> BTreeSet<String> {
    reached().clone()
}

fn note(seen: &Mutex<(HashSet<(&'static str, bool)>, File)>, statement: &'static str, after: bool) {
    let mut seen = seen.lock().expect("no holder of this lock panics");
    if seen.0.insert((statement, after)) {
        writeln!(seen.1, "{}", name(statement, after)).expect("the file of places can be written");
    }
}

fn harm(arm: &Arm, time: u32) -> Act {
    let signal = |signal| kill_process(getpid(), signal).expect("a process may signal itself");
    match arm.doing {
        Doing::Fail if time >= arm.time && time < arm.time + 3 => Act::Fail,
        _ if time != arm.time => Act::Go,
        Doing::Kill => {
            signal(Signal::KILL);
            Act::Go
        }
        Doing::Stop => {
            signal(Signal::STOP);
            Act::Go
        }
        Doing::Wait(ms) => Act::Wait(Duration::from_millis(ms)),
        Doing::Fail => Act::Go,
    }
}
