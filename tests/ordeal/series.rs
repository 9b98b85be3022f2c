//! Series of runs that add up: which seeds are next, and runs beside each other, each in a process of its own.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Mutex,
};

use crate::results::{Line, Origin, Ran, Results, Setting};

/// The seeds of a series.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The first.
    pub first: u64,
    /// How many of them.
    pub runs: u64,
    /// Seeds that failed once, which are run again with every commit.
    pub kept: Vec<u64>,
    /// Whether those that the journal has are run all the same.
    pub again: bool,
}

impl Wanted {
    /// The seeds that are left to run when the journal has so much, by a program of this commit.
    pub fn left(&self, results: Option<&Results>, commit: &str) -> Vec<u64> {
        let mut left = self.kept.clone();
        left.extend(results.filter(|_| !self.kept.is_empty()).map(Results::failing).unwrap_or_default());
        left.retain(|seed| !results.is_some_and(|results| results.has_of(*seed, commit)));
        left.extend((self.first..self.first + self.runs).filter(|seed| self.again || !results.is_some_and(|results| results.has(*seed))));
        let mut seen = std::collections::HashSet::new();
        left.retain(|seed| seen.insert(*seed));
        left
    }
}

/// How runs go on beside each other.
#[derive(Debug, Clone)]
pub struct Beside {
    /// How many.
    pub places: usize,
    /// What each process is told besides its seed and its folder: what this one was told.
    pub arguments: Vec<OsString>,
    /// What they were asked to be.
    pub setting: Setting,
    /// Where runs have their folders.
    pub folder: PathBuf,
    /// Where the journal and its page are.
    pub pages: Option<PathBuf>,
}

impl Beside {
    /// Runs these seeds; returns those that failed. A run whose process ends without a line in the journal came to nothing,
    /// and the journal says so.
    ///
    /// # Errors
    /// When a process cannot be started, or the journal cannot be written.
    ///
    /// # Panics
    /// Never: no holder of a lock panics.
    pub fn run(&self, seeds: Vec<u64>) -> io::Result<Vec<u64>> {
        let (due, failed) = (Mutex::new(VecDeque::from(seeds)), Mutex::new(Vec::new()));
        let next = || due.lock().expect("no holder of this lock panics").pop_front();
        let work = |place: usize| -> io::Result<()> {
            let folder = self.folder.join(format!("beside-{place}"));
            fs::create_dir_all(&folder)?;
            while let Some(seed) = next() {
                let output = self.one(seed, &folder)?;
                fs::write(folder.join(format!("seed-{seed}.txt")), [&output.stdout[..], &output.stderr].concat())?;
                print!("{}", String::from_utf8_lossy(&output.stdout));
                if !output.status.success() {
                    failed.lock().expect("no holder of this lock panics").push(seed);
                    self.account(seed, &output)?;
                }
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let hands: Vec<_> = (0..self.places).map(|place| scope.spawn(move || work(place))).collect();
            hands.into_iter().try_for_each(|hand| hand.join().expect("a series does not panic"))
        })?;
        Ok(failed.into_inner().expect("no holder of this lock panics"))
    }

    fn one(&self, seed: u64, folder: &Path) -> io::Result<Output> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(&self.arguments).args(["--seed", &seed.to_string(), "--runs", "1", "--again", "--beside", "0"]);
        command.arg("--folder").arg(folder).stdin(Stdio::null()).output()
    }

    /// A run that failed and said of what has its line; of any other one is written here.
    fn account(&self, seed: u64, output: &Output) -> io::Result<()> {
        let said = String::from_utf8_lossy(&output.stdout).contains(&format!("seed {seed}: "));
        let Some(pages) = self.pages.as_ref().filter(|_| !said) else { return Ok(()) };
        let words = String::from_utf8_lossy(&output.stderr);
        let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("its process ended without a word");
        let broken = Ran::broken(Origin::here(), self.setting.clone(), seed, Some(last.into()));
        Results::read(pages)?.add(&Line::Run(Box::new(broken)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::{ran, results};

    #[test]
    fn a_series_goes_on_where_the_journal_ends() {
        let journal = results(vec![ran(1, "a", 0), ran(2, "a", 1), ran(4, "a", 0)], Vec::new());
        let wanted = Wanted { first: 1, runs: 5, ..Wanted::default() };
        assert_eq!(wanted.left(None, "a"), [1, 2, 3, 4, 5]);
        assert_eq!(wanted.left(Some(&journal), "a"), [3, 5]);
        assert_eq!(Wanted { again: true, ..wanted }.left(Some(&journal), "b"), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_failed_once_is_run_again_with_every_commit() {
        let journal = results(vec![ran(1, "a", 0), ran(2, "a", 1), ran(11, "b", 0)], Vec::new());
        let wanted = Wanted { first: 1, runs: 2, kept: vec![11, 12], again: false };
        assert_eq!(wanted.left(Some(&journal), "a"), [11, 12], "seed 2 has failed on this commit already");
        assert_eq!(wanted.left(Some(&journal), "b"), [12, 2]);
    }
}
