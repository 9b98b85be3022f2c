//! Learns which planted bugs runs find: one process a bug and seed, since a bug is planted once a process. Before any bug
//! comes the control, the same runs without one: what they find is a false alarm, and voids the page.

use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use super::{
    Bug, Provocation, bugs,
    trials::{HARNESS, Trial, Trials},
};
use crate::sizes::{GATE_SEEDS, GATE_TIME};

/// How many runs are as much as one gate.
pub const GATE: u64 = 3;

/// How bugs are looked for.
#[derive(Debug, Clone)]
pub struct Search {
    /// The first seed.
    pub seed: u64,
    /// The most seeds for one bug, with those of earlier searches.
    pub seeds: u64,
    /// How long load and faults go on for each.
    pub time: Duration,
    /// How long everything may take to end.
    pub drain: Duration,
    /// Only these bugs; all, when there are none.
    pub only: Vec<String>,
    /// Where runs have their folders.
    pub folder: PathBuf,
    /// Where the journal and the page of what was found are.
    pub pages: PathBuf,
    /// How many runs go on beside each other.
    pub beside: usize,
    /// Whether runs are those of a gate, in which everything strikes as it does there, and not what provokes each bug.
    pub as_gate: bool,
}

impl Search {
    /// What strikes while a bug is looked for.
    const fn provocation(&self, bug: &Bug) -> Provocation {
        if self.as_gate { Provocation::All } else { bug.provoked_by }
    }

    /// The seed of a bug's run of this number, from zero.
    fn seed(&self, number: u64) -> u64 {
        let of_gate = usize::try_from(number).ok().and_then(|number| GATE_SEEDS.get(number)).filter(|_| self.as_gate);
        // Behind those that each gate has, so that none is run twice.
        let first = if self.as_gate { self.seed + GATE_SEEDS[GATE_SEEDS.len() - 1] } else { self.seed };
        of_gate.copied().unwrap_or(first + number)
    }
}

/// Looks for every bug once, then once more for those that were not found, and so on; returns the bugs that no run found.
///
/// # Errors
/// When a run cannot be started, or the journal cannot be written.
///
/// # Panics
/// Never: no holder of a lock panics.
pub fn detect(search: &Search) -> io::Result<Vec<Bug>> {
    let trials = Mutex::new(Trials::read(&search.pages)?);
    let read = || trials.lock().expect("no holder of this lock panics");
    let wanted: Vec<Bug> = bugs().into_iter().filter(|bug| search.only.is_empty() || search.only.iter().any(|id| id == bug.id)).collect();
    let controls = controls(search, &wanted);
    for round in 1..=if search.as_gate { GATE } else { search.seeds } {
        if round <= GATE {
            let due = controls.iter().filter(|provocation| read().of_control(**provocation, search.as_gate) < round);
            let due = due.map(|provocation| (None, *provocation)).collect();
            try_all(search, due, &trials)?;
        }
        let due = wanted.iter().filter(|bug| read().is_open(bug, search.as_gate, round));
        let due = due.map(|bug| (Some(*bug), search.provocation(bug))).collect();
        try_all(search, due, &trials)?;
    }
    let trials = trials.into_inner().expect("no holder of this lock panics");
    Ok(wanted.into_iter().filter(|bug| trials.found(bug, search.as_gate).is_none()).collect())
}

/// What the control must go through: whatever provokes one of the bugs.
fn controls(search: &Search, wanted: &[Bug]) -> Vec<Provocation> {
    let mut controls = Vec::new();
    for bug in wanted {
        let provocation = search.provocation(bug);
        if !controls.contains(&provocation) {
            controls.push(provocation);
        }
    }
    controls
}

/// Runs all of these, some beside each other, and adds what came of each to the journal and the page.
fn try_all(search: &Search, due: VecDeque<(Option<Bug>, Provocation)>, trials: &Mutex<Trials>) -> io::Result<()> {
    let due = Mutex::new(due);
    let next = || due.lock().expect("no holder of this lock panics").pop_front();
    let work = |place: usize| -> io::Result<()> {
        let folder = search.folder.join(format!("beside-{place}"));
        while let Some((bug, provocation)) = next() {
            let number = trials.lock().expect("no holder of this lock panics").count(bug.as_ref(), provocation, search.as_gate);
            let seed = search.seed(number);
            let trial = run(search, &folder, bug, provocation, seed)?;
            let mut trials = trials.lock().expect("no holder of this lock panics");
            println!("{}: {}", trial.bug.as_deref().unwrap_or("control"), trial.by.join(", "));
            trials.add(&search.pages, trial)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let hands: Vec<_> = (0..search.beside).map(|place| scope.spawn(move || work(place))).collect();
        hands.into_iter().try_for_each(|hand| hand.join().expect("a search does not panic"))
    })
}

/// One run, with a bug or without one.
fn run(search: &Search, folder: &Path, bug: Option<Bug>, provocation: Provocation, seed: u64) -> io::Result<Trial> {
    let classes: Vec<&str> = provocation.classes().iter().map(|class| class.as_str()).collect();
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--seed", &seed.to_string(), "--faults", &if classes.is_empty() { "none".into() } else { classes.join(",") }]);
    let time = if search.as_gate { GATE_TIME } else { search.time };
    command.args(["--for", &format!("{}ms", time.as_millis()), "--drain", &format!("{}ms", search.drain.as_millis())]);
    if !search.as_gate {
        // A bug is given more of its occasions than a run of everything would have in so short a time.
        command.args(["--pause", "500ms", "--server-pause", "1500ms"]);
    }
    command.arg("--folder").arg(folder).arg("--seeds").arg(folder.join("seeds")).stdin(Stdio::null());
    if !provocation.places().is_empty() {
        command.args(["--places", &provocation.places().join(",")]);
    }
    if let Some(bug) = bug {
        command.args(["--planted", bug.id]);
    }
    let output = command.output()?;
    let name = bug.map_or("control", |bug| bug.id);
    fs::write(folder.join(format!("{name}-{seed}.txt")), [&output.stdout[..], &output.stderr].concat())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut by: Vec<String> =
        text.lines().filter_map(|line| Some(line.trim().strip_prefix("FAIL ")?.split_whitespace().next()?.to_string())).collect();
    // A run that comes to nothing has noticed something as well: a product that cannot run is not delivered.
    if by.is_empty() && !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        by.push(format!("the run itself: {}", error.lines().last().unwrap_or("it ended without a word")));
    }
    Ok(Trial {
        bug: bug.map(|bug| bug.id.into()),
        plants: Some(bug.map_or_else(|| HARNESS.into(), |bug| bug.fingerprint())),
        provocation: provocation.name(),
        seed,
        seconds: time.as_secs(),
        as_gate: search.as_gate,
        by,
    })
}
