//! Learns which planted bugs a series of runs finds: one process a bug and seed, since a bug is planted once a process.

use std::{
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use super::{Bug, bugs};

/// How many seeds are as much as one gate.
pub const GATE: u64 = 3;

/// What became of one bug.
#[derive(Debug, Clone)]
pub struct Detection {
    /// The bug.
    pub bug: Bug,
    /// After how many seeds it was found, and by which checkers; none when it was not.
    pub found: Option<(u64, Vec<String>)>,
}

/// How bugs are looked for.
#[derive(Debug, Clone)]
pub struct Search {
    /// The first seed.
    pub seed: u64,
    /// The most seeds for one bug.
    pub seeds: u64,
    /// How long load and faults go on for each.
    pub time: Duration,
    /// How long everything may take to end.
    pub drain: Duration,
    /// Only these bugs; all, when there are none.
    pub only: Vec<String>,
    /// Where runs have their folders.
    pub folder: PathBuf,
}

/// Looks for each bug with one seed after the other, until it is found; tells of each when it is done with it.
///
/// # Errors
/// When a run comes to nothing.
pub fn detect(search: &Search, mut tell: impl FnMut(&[Detection]) -> io::Result<()>) -> io::Result<Vec<Detection>> {
    let mut detections = Vec::new();
    let wanted = |bug: &Bug| search.only.is_empty() || search.only.iter().any(|id| id == bug.id);
    for bug in bugs().into_iter().filter(wanted) {
        let mut found = None;
        for seed in 0..search.seeds {
            let by = run(search, bug, search.seed + seed)?;
            if !by.is_empty() {
                found = Some((seed + 1, by));
                break;
            }
        }
        detections.push(Detection { bug, found });
        tell(&detections)?;
    }
    Ok(detections)
}

/// One run with a bug; returns the checkers that found something.
fn run(search: &Search, bug: Bug, seed: u64) -> io::Result<Vec<String>> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--planted", bug.id, "--seed", &seed.to_string()])
        .args(["--for", &format!("{}ms", search.time.as_millis()), "--drain", &format!("{}ms", search.drain.as_millis())])
        .arg("--folder")
        .arg(&search.folder)
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let by: Vec<String> =
        text.lines().filter_map(|line| Some(line.trim().strip_prefix("FAIL ")?.split_whitespace().next()?.to_string())).collect();
    // A run that comes to nothing has noticed something as well: a product that cannot run is not delivered.
    if by.is_empty() && !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Ok(vec![format!("the run itself: {}", error.lines().last().unwrap_or("it ended without a word"))]);
    }
    Ok(by)
}

/// Writes the page of detections.
///
/// # Errors
/// The file system's.
pub fn write(page: &Path, search: &Search, detections: &[Detection]) -> io::Result<()> {
    let by_gate = detections.iter().filter(|one| one.found.as_ref().is_some_and(|(seeds, _)| *seeds <= GATE)).count();
    let by_all = detections.iter().filter(|one| one.found.is_some()).count();
    let mut text = String::from("# Planted bugs\n\nWritten by the program; do not edit. What they are: `planted/` beside this page.\n\n");
    let put = |text: &mut String, line: String| writeln!(text, "{line}").expect("a string takes text");
    put(
        &mut text,
        format!(
            "{} bugs. Found by as many runs as a gate has, {GATE}: {by_gate}. By {} runs: {by_all}. A run has {} s of load and faults.\n",
            detections.len(),
            search.seeds,
            search.time.as_secs()
        ),
    );
    put(&mut text, "| bug | like | what is wrong | found in run | by |\n|---|---|---|---:|---|".into());
    for one in detections {
        let (run, by) = one.found.as_ref().map_or(("not found".into(), String::new()), |(run, by)| (run.to_string(), by.join(", ")));
        put(&mut text, format!("| {} | {} | {} | {run} | {by} |", one.bug.id, one.bug.like, one.bug.what));
    }
    fs::write(page, text)
}
