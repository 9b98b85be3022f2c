//! The journal of runs with planted bugs, and the page that is made of it.

use std::{fmt::Write, fs, io, path::Path};

use serde::{Deserialize, Serialize};

use super::{Bug, Provocation, bugs, detect::GATE};
use crate::journal::{self, Journal};

const JOURNAL: &str = "trials.jsonl";
const PAGE: &str = "PLANTED.md";

/// One run with a planted bug, or of the control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The bug; none in a run of the control.
    pub bug: Option<String>,
    /// What the bug was then: one that is planted otherwise since is another.
    pub plants: Option<String>,
    /// What struck.
    pub provocation: String,
    /// The seed.
    pub seed: u64,
    /// How long load and faults went on.
    pub seconds: u64,
    /// The checkers that found something.
    pub by: Vec<String>,
}

/// All runs so far.
#[derive(Debug, Default)]
pub struct Trials(Vec<Trial>);

impl Trials {
    /// The runs that a folder's journal has.
    ///
    /// # Errors
    /// The file system's.
    pub fn read(folder: &Path) -> io::Result<Self> {
        journal::read(folder, JOURNAL).map(Self)
    }

    /// Adds a run to the journal, and writes the page.
    ///
    /// # Errors
    /// The file system's.
    pub fn add(&mut self, folder: &Path, trial: Trial) -> io::Result<()> {
        Journal::open(&folder.join(JOURNAL))?.add(&trial)?;
        self.0.push(trial);
        fs::write(folder.join(PAGE), self.page())
    }

    /// How many runs the control has had of one provocation.
    pub fn of_control(&self, provocation: Provocation) -> u64 {
        self.0.iter().filter(|trial| trial.bug.is_none() && trial.provocation == provocation.name()).count() as u64
    }

    /// How many runs there were: of a bug, or of the control.
    pub fn count(&self, bug: Option<&Bug>, provocation: Provocation) -> u64 {
        bug.map_or_else(|| self.of_control(provocation), |bug| self.of(bug).count() as u64)
    }

    /// Whether a bug was not found yet and had fewer than so many runs.
    pub fn is_open(&self, bug: &Bug, runs: u64) -> bool {
        self.found(bug).is_none() && (self.of(bug).count() as u64) < runs
    }

    /// In which of its runs a bug was found first, and by which checkers.
    pub fn found(&self, bug: &Bug) -> Option<(u64, &[String])> {
        let (place, trial) = self.of(bug).enumerate().find(|(_, trial)| !trial.by.is_empty())?;
        Some((place as u64 + 1, &trial.by))
    }

    fn of<'a>(&'a self, bug: &Bug) -> impl Iterator<Item = &'a Trial> + use<'a> {
        let (id, plants) = (bug.id, bug.fingerprint());
        self.0.iter().filter(move |trial| trial.bug.as_deref() == Some(id) && trial.plants.as_deref() == Some(&plants))
    }

    fn page(&self) -> String {
        let (all, mut rows) = (bugs(), String::new());
        let tried = all.iter().filter(|bug| self.of(bug).next().is_some()).count();
        let by_gate = all.iter().filter(|bug| self.found(bug).is_some_and(|(run, _)| run <= GATE)).count();
        let by_all = all.iter().filter(|bug| self.found(bug).is_some()).count();
        let most = all.iter().map(|bug| self.of(bug).count()).max().unwrap_or(0);
        for bug in &all {
            let runs = self.of(bug).count();
            let (found, by) = match self.found(bug) {
                Some((run, by)) => (run.to_string(), by.join(", ").replace('|', "/")),
                None if runs == 0 => ("not tried".into(), String::new()),
                None => (format!("not in {runs}"), String::new()),
            };
            let provoked = bug.provoked_by.name();
            writeln!(rows, "| {} | {} | {} | {provoked} | {found} | {by} |", bug.id, bug.like, bug.what).expect("a string takes text");
        }
        format!(
            "# Planted bugs\n\nWritten by the program; do not edit. What they are: `planted/` beside this page; each run is a line of `{JOURNAL}`.\n\n\
             {}\n\n{} bugs, {tried} of them tried. Found by as many runs as a gate has, {GATE}: {by_gate}. By at most {most} runs: {by_all}.\n\
             A run has {} s of load, and the faults that provoke the bug.\n\n\
             | bug | like | what is wrong | provoked by | found in run | by |\n|---|---|---|---|---:|---|\n{rows}",
            self.control(),
            all.len(),
            self.seconds(),
        )
    }

    /// What the runs without a bug found: nothing, or the page proves nothing.
    fn control(&self) -> String {
        let control: Vec<&Trial> = self.0.iter().filter(|trial| trial.bug.is_none()).collect();
        let alarms: Vec<String> = control
            .iter()
            .filter(|trial| !trial.by.is_empty())
            .map(|trial| format!("seed {} under {}: {}", trial.seed, trial.provocation, trial.by.join(", ")))
            .collect();
        if alarms.is_empty() {
            return format!("Control: {} runs without a bug found nothing.", control.len());
        }
        format!("**Void: of {} runs without a bug {} found something.** {}", control.len(), alarms.len(), alarms.join("; "))
    }

    fn seconds(&self) -> String {
        let mut seconds: Vec<u64> = self.0.iter().map(|trial| trial.seconds).collect();
        seconds.sort_unstable();
        match (seconds.first(), seconds.last()) {
            (Some(least), Some(most)) if least != most => format!("{least} to {most}"),
            (Some(least), _) => least.to_string(),
            _ => "no".into(),
        }
    }
}
