//! The journal of runs with planted bugs, and the page that is made of it.

use std::{fmt::Write, fs, io, path::Path};

use serde::{Deserialize, Serialize};

use super::{Bug, Provocation, bugs, detect::GATE};
use crate::journal::{self, Journal};

const JOURNAL: &str = "trials.jsonl";
const PAGE: &str = "PLANTED.md";
/// What draws programs and judges them, in a few characters.
pub const HARNESS: &str = env!("ORDEAL_HARNESS");

/// One run with a planted bug, or of the control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The bug; none in a run of the control.
    pub bug: Option<String>,
    /// What the bug was then: one that is planted otherwise since is another. Of the control, what drew and judged it.
    pub plants: Option<String>,
    /// What struck.
    pub provocation: String,
    /// The seed.
    pub seed: u64,
    /// How long load and faults went on.
    pub seconds: u64,
    /// Whether it was a run of a gate; else what provokes the bug struck, and nothing else.
    #[serde(default)]
    pub as_gate: bool,
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

    /// How many runs the control has had of one provocation, by what draws and judges today.
    pub fn of_control(&self, provocation: Provocation, as_gate: bool) -> u64 {
        let is_of_now = |trial: &Trial| trial.bug.is_none() && trial.plants.as_deref() == Some(HARNESS);
        let is_such = |trial: &&Trial| is_of_now(trial) && trial.as_gate == as_gate && trial.provocation == provocation.name();
        self.0.iter().filter(is_such).count() as u64
    }

    /// How many runs there were: of a bug, or of the control.
    pub fn count(&self, bug: Option<&Bug>, provocation: Provocation, as_gate: bool) -> u64 {
        bug.map_or_else(|| self.of_control(provocation, as_gate), |bug| self.of(bug, as_gate).count() as u64)
    }

    /// Whether a bug was not found yet and had fewer than so many runs.
    pub fn is_open(&self, bug: &Bug, as_gate: bool, runs: u64) -> bool {
        self.found(bug, as_gate).is_none() && (self.of(bug, as_gate).count() as u64) < runs
    }

    /// In which of its runs a bug was found first, and by which checkers.
    pub fn found(&self, bug: &Bug, as_gate: bool) -> Option<(u64, &[String])> {
        let (place, trial) = self.of(bug, as_gate).enumerate().find(|(_, trial)| !trial.by.is_empty())?;
        Some((place as u64 + 1, &trial.by))
    }

    fn of<'a>(&'a self, bug: &Bug, as_gate: bool) -> impl Iterator<Item = &'a Trial> + use<'a> {
        let (id, plants) = (bug.id, bug.fingerprint());
        let is_of = move |trial: &&Trial| trial.bug.as_deref() == Some(id) && trial.plants.as_deref() == Some(&plants);
        self.0.iter().filter(is_of).filter(move |trial| trial.as_gate == as_gate)
    }

    /// In which of its runs a bug was found first, in words.
    fn found_in(&self, bug: &Bug, as_gate: bool) -> String {
        match (self.found(bug, as_gate), self.of(bug, as_gate).count()) {
            (Some((run, _)), _) => run.to_string(),
            (None, 0) => "not tried".into(),
            (None, runs) => format!("not in {runs}"),
        }
    }

    /// How many bugs were tried, and how many were found by so many runs.
    fn sums(&self, bugs: &[Bug], as_gate: bool, runs: u64) -> (usize, usize) {
        let is_tried =
            |bug: &&Bug| self.found(bug, as_gate).is_some() || self.of(bug, as_gate).count() as u64 >= if as_gate { GATE } else { 1 };
        let tried = bugs.iter().filter(is_tried).count();
        let found = bugs.iter().filter(|bug| self.found(bug, as_gate).is_some_and(|(run, _)| run <= runs)).count();
        (tried, found)
    }

    fn page(&self) -> String {
        let (all, mut rows) = (bugs(), String::new());
        let (tried_as_gate, by_gate) = self.sums(&all, true, GATE);
        let (tried, by_few) = self.sums(&all, false, GATE);
        let most = all.iter().map(|bug| self.of(bug, false).count() as u64).max().unwrap_or(0);
        let (_, by_all) = self.sums(&all, false, most);
        for bug in &all {
            let by = self.found(bug, false).or_else(|| self.found(bug, true)).map(|(_, by)| by.join(", ").replace('|', "/"));
            let (found, found_as_gate, provoked) = (self.found_in(bug, false), self.found_in(bug, true), bug.provoked_by.name());
            let Bug { id, like, what, .. } = bug;
            writeln!(rows, "| {id} | {like} | {what} | {provoked} | {found} | {found_as_gate} | {} |", by.unwrap_or_default())
                .expect("a string takes text");
        }
        format!(
            "# Planted bugs\n\nWritten by the program; do not edit. What they are: `planted/` beside this page; each run is a line of `{JOURNAL}`.\n\n\
             {}\n\n{} bugs. In runs of a gate, {GATE} each, {tried_as_gate} of them were looked for and {by_gate} found.\n\
             In runs of {} s of load with the faults that provoke each bug {tried} were looked for; {GATE} runs found {by_few}, and {most} runs {by_all}.\n\n\
             | bug | like | what is wrong | provoked by | found in run | in a gate's run | by |\n|---|---|---|---|---:|---:|---|\n{rows}",
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
            let of_now = control.iter().filter(|trial| trial.plants.as_deref() == Some(HARNESS)).count();
            let all = control.len();
            return format!(
                "Control: {all} runs without a bug found nothing, {of_now} of them by what draws programs and judges them now."
            );
        }
        format!("**Void: of {} runs without a bug {} found something.** {}", control.len(), alarms.len(), alarms.join("; "))
    }

    fn seconds(&self) -> String {
        let mut seconds: Vec<u64> = self.0.iter().filter(|trial| !trial.as_gate).map(|trial| trial.seconds).collect();
        seconds.sort_unstable();
        match (seconds.first(), seconds.last()) {
            (Some(least), Some(most)) if least != most => format!("{least} to {most}"),
            (Some(least), _) => least.to_string(),
            _ => "no".into(),
        }
    }
}
