//! The results as JSON, and the README's table, which is made from them.

use std::{fmt::Write, path::PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::{
    figures::{Figures, RAW, RAWOPS},
    home,
    machine::Machine,
    targets,
};

const BEGIN: &str = "<!-- The table below is made by `cargo run --release -p bench -- table`. -->\n";
const END: &str = "<!-- The end of the table. -->";

/// One run.
#[derive(Serialize, Deserialize)]
pub struct Results {
    /// Where.
    pub machine: Machine,
    /// The last commit of what was measured; none, where that cannot be told.
    pub build: Option<String>,
    /// What made them, as it is typed.
    pub commands: Vec<String>,
    /// How many rounds.
    pub rounds: usize,
    /// Peers that were measured, and those that were not.
    pub peers: (Vec<String>, Vec<String>),
    /// What was measured.
    pub figures: Figures,
}

fn file() -> PathBuf {
    home().join("results.json")
}

fn readme() -> PathBuf {
    home().join("../README.md")
}

/// Keeps the results.
pub fn record(results: &Results) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(results)? + "\n";
    std::fs::write(file(), text).context("cannot write bench/results.json")
}

impl Results {
    /// What a run that is to add to these needs to be like.
    ///
    /// # Errors
    /// When it is not: figures of another machine, server or build do not compare.
    pub fn require_same(&self, machine: &Machine, build: Option<&str>) -> anyhow::Result<()> {
        let of = |machine: &Machine| format!("{} cores of {}, PostgreSQL {}", machine.cores, machine.processor, machine.postgresql);
        let (theirs, ours) = (of(&self.machine), of(machine));
        anyhow::ensure!(theirs == ours, "what is recorded was measured on {theirs}, and this is {ours}: measure anew, without --more");
        anyhow::ensure!(
            build.is_some() && self.build.as_deref() == build,
            "what is recorded was measured of commit {}, and this is {}: measure anew, without --more",
            self.build.as_deref().unwrap_or("unknown"),
            build.unwrap_or("no commit's state")
        );
        Ok(())
    }
}

/// The results that were kept last.
pub fn recorded() -> anyhow::Result<Results> {
    let text = std::fs::read_to_string(file()).context("nothing is recorded: run `cargo run --release -p bench -- all --record`")?;
    Ok(serde_json::from_str(&text)?)
}

/// Puts the table into the README.
pub fn write(results: &Results) -> anyhow::Result<()> {
    let page = std::fs::read_to_string(readme())?;
    std::fs::write(readme(), with_table(&page, results)?)?;
    Ok(())
}

/// The page with the table of these results in its place.
fn with_table(page: &str, results: &Results) -> anyhow::Result<String> {
    let missing = "README.md has no place for the table";
    let (before, rest) = page.split_once(BEGIN).context(missing)?;
    let (_, after) = rest.split_once(END).context(missing)?;
    Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", report(results)))
}

/// What a reader sees.
pub fn report(results: &Results) -> String {
    let Machine { processor, cores, memory_gib, postgresql, day, .. } = &results.machine;
    let (figures, rounds) = (&results.figures, results.rounds);
    let mut page = format!(
        "{}\n\n{cores} cores of {processor}, {memory_gib} GiB, PostgreSQL {postgresql} on the same machine with fsync and \
         synchronous_commit on,\nevery outcome recorded; medians of {rounds} interleaved rounds, {day}.\n\n\
         | figure | rawops | raw SQL, same tables | best peer |\n|---|---:|---:|---:|\n",
        results.commands.iter().map(|command| format!("`{command}`")).collect::<Vec<_>>().join("  \n")
    );
    for name in figures.names() {
        let of = |subject| figures.median(name, subject).map(number).unwrap_or_default();
        let peer = figures.best_peer(name).map(|(peer, value)| format!("{} ({peer})", number(value))).unwrap_or_default();
        writeln!(page, "| {name} | {} | {} | {peer} |", of(RAWOPS), of(RAW)).expect("a string can be written to");
    }
    let (measured, absent) = (results.peers.0.join(", "), results.peers.1.join(", "));
    for (what, names) in [("Peers beside it", measured), ("Not installed here", absent)].iter().filter(|(_, names)| !names.is_empty()) {
        writeln!(page, "\n{what}: {names}.").expect("a string can be written to");
    }
    page.push_str("\n| aim, as a ratio within the run where no unit is named | measured | aimed at | |\n|---|---:|---:|---|\n");
    for target in targets::judged(figures) {
        let (sign, met) = (if target.at_least { "≥" } else { "≤" }, if target.is_met() { "met" } else { "not met" });
        writeln!(page, "| {} | {} | {sign} {} | {met} |", target.name, number(target.value), number(target.bound))
            .expect("a string can be written to");
    }
    page
}

/// Three digits that matter, thousands set apart.
fn number(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.*}", if value < 10.0 { 2 } else { 1 });
    }
    let digits = (value.log10().floor() as i32 - 2).max(0);
    let rounded = ((value / 10_f64.powi(digits)).round() * 10_f64.powi(digits)) as u64;
    let text = rounded.to_string();
    let first = text.len() % 3;
    let mut parts: Vec<&str> = (first..text.len()).step_by(3).map(|at| &text[at..at + 3]).collect();
    if first > 0 {
        parts.insert(0, &text[..first]);
    }
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_shows_the_recorded_results() {
        let page = std::fs::read_to_string(readme()).expect("a README");
        let anew = with_table(&page, &recorded().expect("recorded results")).expect("a place for the table");
        assert_eq!(anew, page, "run `cargo run --release -p bench -- table`");
    }

    #[test]
    fn numbers_have_three_digits_that_matter() {
        for (value, shown) in
            [(0.604, "0.60"), (12.34, "12.3"), (101.4, "101"), (1234.0, "1,230"), (66_049.0, "66,000"), (1_000_000.0, "1,000,000")]
        {
            assert_eq!(number(value), shown);
        }
    }
}
