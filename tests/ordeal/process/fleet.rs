//! The processes of a run, each in its slot: struck by faults, started again.

use std::{
    io,
    process::Child,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    Role,
    launch::{Settings, Start},
};
use crate::{journal::Journal, kinds::versions::VERSIONS, namespace::Namespace, wait};

/// Something that happened to a process.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Life {
    /// When, by the clock of all.
    pub at_us: i64,
    /// When, by the wall.
    pub at: chrono::DateTime<chrono::Utc>,
    /// The process.
    pub pid: u32,
    /// What it is.
    pub role: String,
    /// `started`, `armed`, `KILL`, `STOP`, `CONT`, `TERM`, `CUT`, `MENDED`, `BACK`, `SILENT`, or `found dead`.
    pub what: String,
}

/// How a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It runs, as far as anybody knows.
    Up,
    /// A fault has it in hand: nobody else starts it again.
    Taken,
}

/// One process.
struct Slot {
    role: Role,
    version: u32,
    child: Option<Child>,
    state: State,
}

/// The processes of a run. All are killed with it.
pub struct Fleet {
    settings: Settings,
    slots: Mutex<Vec<Slot>>,
    lives: Journal<Life>,
}

impl Fleet {
    /// Processes of these roles, all of them down.
    ///
    /// # Errors
    /// The file system's.
    pub fn new(settings: Settings, roles: &[Role]) -> io::Result<Self> {
        let is_old = |role: &Role| settings.mixed && matches!(role, Role::Worker(place) if place % 2 == 0);
        let version = |role: &Role| VERSIONS[usize::from(!is_old(role))];
        let slots = roles.iter().map(|role| Slot { role: *role, version: version(role), child: None, state: State::Up });
        let lives = Journal::open(&settings.folder.join("lives.jsonl"))?;
        Ok(Self { slots: Mutex::new(slots.collect()), settings, lives })
    }

    /// Whether it is of two versions of the program.
    pub const fn is_mixed(&self) -> bool {
        self.settings.mixed
    }

    /// Makes the next process of a worker's slot one of the other version, which is returned; `None` when no other worker
    /// would be of its version any more.
    pub fn roll(&self, place: usize) -> Option<u32> {
        let mut slots = self.slots();
        let version = slots[place].version;
        let is_alike = |slot: &&Slot| matches!(slot.role, Role::Worker(_)) && slot.version == version;
        if slots.iter().filter(is_alike).count() < 2 {
            return None;
        }
        let other = VERSIONS.into_iter().find(|other| *other != version)?;
        slots[place].version = other;
        Some(other)
    }

    /// Starts every process that is down and that no fault has in hand; notices those that a failpoint ended or stopped.
    ///
    /// # Errors
    /// The operating system's.
    pub fn tend(&self) -> io::Result<()> {
        let mut slots = self.slots();
        for slot in slots.iter_mut().filter(|slot| slot.state == State::Up) {
            if let Some(child) = &mut slot.child {
                if child.try_wait()?.is_none() {
                    continue;
                }
                self.note(child.id(), slot.role, "found dead");
            }
            let child = self.start(slot, &Start::default())?;
            slot.child = Some(child);
        }
        Ok(())
    }

    /// Makes the next process of every slot one of the newest version; returns the places of those that are older.
    pub fn roll_out(&self) -> Vec<usize> {
        let newest = VERSIONS[VERSIONS.len() - 1];
        let mut slots = self.slots();
        let older = slots.iter_mut().enumerate().filter(|(_, slot)| matches!(slot.role, Role::Worker(_)) && slot.version != newest);
        older
            .map(|(place, slot)| {
                slot.version = newest;
                place
            })
            .collect()
    }

    /// The slots of a kind of role that are up, as a place each.
    pub fn up(&self, which: impl Fn(Role) -> bool) -> Vec<usize> {
        let slots = self.slots();
        let up = |slot: &&(usize, &Slot)| slot.1.state == State::Up && which(slot.1.role);
        slots.iter().enumerate().filter(|slot| up(&slot)).map(|(place, _)| place).collect()
    }

    /// Takes a process in hand; false when another fault has it.
    pub fn take(&self, place: usize) -> bool {
        let mut slots = self.slots();
        let free = slots[place].state == State::Up;
        if free {
            slots[place].state = State::Taken;
        }
        free
    }

    /// Lets go of a process.
    pub fn release(&self, place: usize) {
        self.slots()[place].state = State::Up;
    }

    /// The slots of a kind of role, as a place each.
    pub fn all(&self, which: impl Fn(Role) -> bool) -> Vec<usize> {
        let slots = self.slots();
        slots.iter().enumerate().filter(|(_, slot)| which(slot.role)).map(|(place, _)| place).collect()
    }

    /// The id of a process, while it runs.
    pub fn pid(&self, place: usize) -> Option<u32> {
        self.slots()[place].child.as_ref().map(Child::id)
    }

    /// Sends a process a signal; false when it has ended.
    pub fn signal(&self, place: usize, signal: Signal, word: &str) -> bool {
        let mut slots = self.slots();
        let role = slots[place].role;
        let Some(child) = &mut slots[place].child else { return false };
        // Not reaped yet, so the id is still its own.
        if !matches!(child.try_wait(), Ok(None)) {
            return false;
        }
        let pid = child.id();
        self.note(pid, role, word);
        Pid::from_raw(pid as i32).is_some_and(|pid| kill_process(pid, signal).is_ok())
    }

    /// Takes note of something that happened to a process from outside; of one that has ended, nothing is noted.
    pub fn mark(&self, place: usize, word: &str) {
        let mut slots = self.slots();
        let role = slots[place].role;
        if let Some(child) = &mut slots[place].child
            && matches!(child.try_wait(), Ok(None))
        {
            self.note(child.id(), role, word);
        }
    }

    /// The namespace that a role's process lives in; `None` when it is this one's.
    pub fn namespace(&self, role: Role) -> Option<&Namespace> {
        self.settings.namespace(role)
    }

    /// How many processes live in namespaces of their own.
    pub fn apart(&self) -> usize {
        self.all(|role| self.namespace(role).is_some()).len()
    }

    /// Whether a process has ended.
    pub fn has_ended(&self, place: usize) -> bool {
        let mut slots = self.slots();
        slots[place].child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// Kills a process, and waits for its end.
    pub async fn kill(&self, place: usize) {
        self.signal(place, Signal::KILL, "KILL");
        wait::until(Duration::MAX, || self.has_ended(place)).await;
    }

    /// Tells a process to stop, and kills it if it has not ended after `limit`; whether it ended by itself.
    pub async fn dismiss(&self, place: usize, limit: Duration) -> bool {
        self.signal(place, Signal::TERM, "TERM");
        let ended = wait::until(limit, || self.has_ended(place)).await;
        if !ended {
            self.signal(place, Signal::KILL, "KILL");
        }
        ended
    }

    /// Whether a process is stopped, by whatever signal.
    pub fn is_stopped(&self, place: usize) -> bool {
        let stat = self.pid(place).and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok());
        stat.is_some_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['T', 't'])))
    }

    /// Puts a process that comes to harm into a slot, whose process was ended before.
    ///
    /// # Errors
    /// The operating system's.
    pub fn replace(&self, place: usize, start: &Start) -> io::Result<()> {
        let mut slots = self.slots();
        let child = self.start(&slots[place], start)?;
        self.note(child.id(), slots[place].role, "armed");
        slots[place].child = Some(child);
        Ok(())
    }

    /// Ends every process.
    pub fn end(&self) {
        let mut slots = self.slots();
        for slot in slots.iter_mut() {
            slot.state = State::Taken;
            if let Some(mut child) = slot.child.take() {
                // Already gone is fine.
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().expect("no holder of this lock panics")
    }

    fn start(&self, slot: &Slot, start: &Start) -> io::Result<Child> {
        let child = self.settings.spawn(slot.role, slot.version, start)?;
        self.note(child.id(), slot.role, "started");
        Ok(child)
    }

    fn note(&self, pid: u32, role: Role, what: &str) {
        let life = Life { at_us: crate::clock::now_us(), at: chrono::Utc::now(), pid, role: role.name(), what: what.into() };
        self.lives.add(&life).expect("the ledger can be written");
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.end();
    }
}
