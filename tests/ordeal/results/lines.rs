//! The journal of a folder, and what it says of seeds.

use std::{
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use super::{Line, Ran, Tried, page};
use crate::{
    coverage::Coverage,
    journal::{self, Journal},
};

/// The file of the journal.
pub const JOURNAL: &str = "runs.jsonl";
/// The page that is made of it.
pub const PAGE: &str = "RESULTS.md";

/// Everything that was written down.
#[derive(Debug, Default)]
pub struct Results {
    folder: PathBuf,
    runs: Vec<Ran>,
    tried: Vec<Tried>,
}

impl Results {
    /// What the journal of a folder has.
    ///
    /// # Errors
    /// The file system's, or a line that is nonsense.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let mut results = Self { folder: folder.into(), ..Self::default() };
        journal::read(folder, JOURNAL)?.into_iter().for_each(|line| results.take(line));
        Ok(results)
    }

    /// Adds a line to the journal, and writes the page: from the journal, which others may have added to.
    ///
    /// # Errors
    /// The file system's.
    pub fn add(&mut self, line: &Line) -> io::Result<()> {
        Journal::open(&self.folder.join(JOURNAL))?.add_synced(line)?;
        *self = Self::read(&self.folder)?;
        self.write()
    }

    /// Writes the page.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self) -> io::Result<()> {
        // Beside it first: another process may be writing it too.
        let beside = self.folder.join(format!("{PAGE}.{}", std::process::id()));
        fs::write(&beside, page::page(self))?;
        fs::rename(beside, self.folder.join(PAGE))
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Run(ran) => self.runs.push(*ran),
            Line::Inputs(tried) => self.tried.push(tried),
        }
    }

    /// The runs, oldest first.
    pub fn runs(&self) -> &[Ran] {
        &self.runs
    }

    /// The series of bad inputs, oldest first.
    pub fn tried(&self) -> &[Tried] {
        &self.tried
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether a seed has a run.
    pub fn has(&self, seed: u64) -> bool {
        self.runs.iter().any(|ran| ran.seed == seed)
    }

    /// Whether a seed has a run of this commit.
    pub fn has_of(&self, seed: u64, commit: &str) -> bool {
        self.runs.iter().any(|ran| ran.seed == seed && ran.origin.commit == commit)
    }

    /// Whether so many inputs of a seed were tried, and all judged rightly.
    pub fn has_tried(&self, inputs: &str, seed: u64, times: u64) -> bool {
        self.tried.iter().any(|tried| tried.inputs == inputs && tried.seed == seed && tried.wrong.is_none() && tried.tried >= times)
    }

    /// How many runs of these seeds came to an end, and what they have touched together.
    pub fn touched(&self, seeds: Range<u64>) -> (usize, Coverage) {
        let (mut runs, mut coverage) = (0, Coverage::default());
        for ran in self.runs.iter().filter(|ran| ran.broke.is_none() && seeds.contains(&ran.seed)) {
            runs += 1;
            coverage.add(&ran.coverage());
        }
        (runs, coverage)
    }

    /// The seeds whose last run failed.
    pub fn failing(&self) -> Vec<u64> {
        let is_last = |place: usize, ran: &Ran| self.runs[place + 1..].iter().all(|later| later.seed != ran.seed);
        let last = self.runs.iter().enumerate().filter(|(place, ran)| is_last(*place, ran));
        last.filter(|(_, ran)| !ran.is_clean()).map(|(_, ran)| ran.seed).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::results::{Judged, Origin, Setting};

    /// A run of a seed, built from a commit, in which a checker found so much.
    pub fn ran(seed: u64, commit: &str, violations: usize) -> Ran {
        let origin = Origin { commit: commit.into(), optimised: true, machine: "2 cores".into(), at: DateTime::<Utc>::UNIX_EPOCH };
        let setting = Setting { seconds: 60.0, rate: 60.0, classes: Vec::new(), pooled: false, older: false, pause_ms: 900 };
        let words = (0..violations).map(|n| format!("job {n} is | lost")).collect();
        let judged = Judged { rule: "no acknowledged job is lost".into(), looked_at: 10, violations, words };
        Ran {
            jobs: 1000,
            outside: 500,
            repeated: 1,
            recoveries_ms: (1..=10).map(|tenth| tenth * 100 * seed).collect(),
            findings: [("I1".to_owned(), judged)].into(),
            faults: [("kill".to_owned(), 3)].into(),
            ..Ran::broken(origin, setting, seed, None)
        }
    }

    /// Results of these runs, of no folder.
    pub fn results(runs: Vec<Ran>, tried: Vec<Tried>) -> Results {
        Results { folder: PathBuf::new(), runs, tried }
    }

    #[test]
    fn a_seed_fails_until_a_later_run_of_it_is_clean() {
        let results = results(vec![ran(1, "a", 1), ran(2, "a", 0), ran(3, "a", 2), ran(1, "b", 0)], Vec::new());
        assert_eq!(results.failing(), [3]);
        assert!(results.has(2) && !results.has(4));
        assert!(results.has_of(1, "b") && !results.has_of(2, "b"));
    }
}
