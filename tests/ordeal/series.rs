//! Series of runs that add up: which seeds are next, and runs beside each other, each in a process of its own.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Mutex,
};

use crate::{
    coverage::Coverage,
    results::{COMMIT_OF_SERIES, Line, Origin, Ran, Results, Setting},
    seeds,
};

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

/// From so many runs on chance is no excuse for what they have not touched.
const LONG: usize = 100;

/// What a series with every fault proves nothing of: a short one is not asked.
pub fn untouched(runs: usize, coverage: &Coverage) -> Vec<String> {
    if runs < LONG { Vec::new() } else { coverage.missing() }
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
    /// Where seeds that fail are kept.
    pub seeds: PathBuf,
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
                let lines = self.lines(seed)?;
                let output = self.one(seed, &folder)?;
                fs::write(folder.join(format!("seed-{seed}.txt")), [&output.stdout[..], &output.stderr].concat())?;
                print!("{}", String::from_utf8_lossy(&output.stdout));
                if !self.account(seed, lines, &output)? || !output.status.success() {
                    failed.lock().expect("no holder of this lock panics").push(seed);
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
        command.env(COMMIT_OF_SERIES, &Origin::here().commit);
        command.arg("--folder").arg(folder).stdin(Stdio::null()).output()
    }

    /// How many lines of the journal are of a seed, which no other process runs.
    fn lines(&self, seed: u64) -> io::Result<usize> {
        let results = self.pages.as_deref().map(Results::read).transpose()?;
        Ok(results.map_or(0, |results| results.runs().iter().filter(|ran| ran.seed == seed).count()))
    }

    /// Whether the journal has one more line of a seed than before its run, where one is kept: what the process said is no
    /// proof of that. A line that is missing is written here.
    fn account(&self, seed: u64, before: usize, output: &Output) -> io::Result<bool> {
        // What ends by a signal has not said that it came to nothing: its seed is kept here.
        let words = String::from_utf8_lossy(&output.stderr);
        if output.status.code().is_none() {
            seeds::keep(&self.seeds, seed, &format!("its process ended: {}\n{words}", output.status))?;
        }
        let Some(pages) = &self.pages else { return Ok(true) };
        if self.lines(seed)? > before {
            return Ok(true);
        }
        let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("its process ended without a word");
        let broken = Ran::broken(Origin::here(), self.setting.clone(), seed, Some(last.into()));
        Results::read(pages)?.add(&Line::Run(Box::new(broken)))?;
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;
    use crate::results::tests::{ran, results};

    #[test]
    fn a_run_without_a_line_gets_one_whatever_it_said() {
        let pages = std::env::temp_dir().join(format!("ordeal-series-{}", std::process::id()));
        fs::create_dir_all(&pages).expect("a folder can be made");
        let setting = ran(1, "a", 0).setting;
        let (folder, seeds) = (pages.clone(), pages.join("seeds"));
        let series = Beside { places: 1, arguments: Vec::new(), setting, folder, pages: Some(pages.clone()), seeds: seeds.clone() };
        let words = |text: &str| text.as_bytes().to_vec();
        let output = Output { status: ExitStatusExt::from_raw(9), stdout: words("seed 7: 3 jobs\n"), stderr: words("it is full\n\n") };
        let account = |before: usize| series.account(7, before, &output).expect("the journal can be written");
        assert!(!account(0), "the journal has no line, though the process said that its run had ended");
        assert!(account(0), "now it has one");
        assert!(!account(1), "which is not of a run that began later");
        let journal = Results::read(&pages).expect("the journal can be read");
        let broke: Vec<_> = journal.runs().iter().map(|ran| (ran.seed, ran.broke.as_deref())).collect();
        assert_eq!(broke, [(7, Some("it is full")), (7, Some("it is full"))]);
        assert_eq!(crate::seeds::kept(&seeds).expect("the folder can be read"), [7]);
        fs::remove_dir_all(&pages).expect("the folder can be removed");
    }

    #[test]
    fn a_long_series_must_have_touched_everything() {
        let runs = |count: u64, places: &[&str]| {
            let places: Vec<String> = places.iter().map(ToString::to_string).collect();
            results((1..=count).map(|seed| Ran { places: places.clone(), ..ran(seed, "a", 0) }).collect(), Vec::new())
        };
        let untouched = |results: &Results| {
            let (runs, coverage) = results.touched(1..1000);
            untouched(runs, &coverage)
        };
        let everywhere = engine::failpoint::STATEMENTS.as_slice();
        assert_eq!(untouched(&runs(100, everywhere)), Vec::<String>::new());
        assert_eq!(untouched(&runs(99, &everywhere[1..])), Vec::<String>::new());
        let first = everywhere[0];
        assert_eq!(untouched(&runs(100, &everywhere[1..])), [format!("place: {first} before"), format!("place: {first} after")]);
        assert_eq!(runs(100, everywhere).touched(5..8).0, 3, "only what the series asked for counts");
    }

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
