//! The lines of the journal: one a run, one a series of bad inputs.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::Origin;
use crate::{
    coverage::Coverage,
    faults::Class,
    inputs::{Counts, Wrong},
    report::Report,
    run::Settings,
};

/// How many violations of one checker a line has in words.
const IN_WORDS: usize = 3;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "of")]
pub enum Line {
    /// A run.
    Run(Box<Ran>),
    /// A series of bad inputs.
    Inputs(Tried),
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ran {
    /// Where the line comes from.
    pub origin: Origin,
    /// Its seed.
    pub seed: u64,
    /// What was asked for.
    pub setting: Setting,
    /// Why it came to nothing, if it did: then it has no figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broke: Option<String>,
    /// Jobs that ended.
    pub jobs: usize,
    /// Attempts that ended.
    pub attempts: usize,
    /// Webhooks that were accepted.
    pub webhooks: usize,
    /// Faults, by class.
    pub faults: BTreeMap<String, usize>,
    /// Processes that went on after their lease.
    pub zombies: usize,
    /// Late writes, all refused.
    pub refused: usize,
    /// Effects outside that were done again.
    pub repeated: usize,
    /// Effects outside.
    pub outside: usize,
    /// From the kill of a worker to the next attempt of each job that it lost, in milliseconds.
    pub recoveries_ms: Vec<u64>,
    /// From the same kills until each of these jobs was given back, which runs of before did not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rescues_ms: Vec<u64>,
    /// From where a worker was cut off from the server to the next attempt of each job that it lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regained_ms: Vec<u64>,
    /// What each checker looked at and found.
    pub findings: BTreeMap<String, Judged>,
    /// The places that were reached; a statement alone stands for both of its places.
    pub places: Vec<String>,
    /// How often each way was gone.
    pub ways: BTreeMap<String, usize>,
    /// How long it took, in seconds.
    pub took_s: u64,
}

/// What a run was asked to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// How long load and faults went on, in seconds.
    pub seconds: f64,
    /// Programs a second.
    pub rate: f64,
    /// The classes of faults.
    pub classes: Vec<String>,
    /// Whether a pooler was in between.
    pub pooled: bool,
    /// Whether the older version of the program was another build.
    pub older: bool,
    /// The middle of the pause of one hand between two faults of processes, in milliseconds.
    #[serde(default = "pause_of_before")]
    pub pause_ms: u64,
}

/// What all runs had before the journal told.
const fn pause_of_before() -> u64 {
    900
}

/// What a checker came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Judged {
    /// What must hold.
    pub rule: String,
    /// How many things it looked at.
    pub looked_at: usize,
    /// How many of them did not hold.
    pub violations: usize,
    /// The first of these in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
}

/// A series of bad inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Where the line comes from.
    pub origin: Origin,
    /// What they were.
    pub inputs: String,
    /// The seed.
    pub seed: u64,
    /// How many were tried.
    pub tried: u64,
    /// How many were taken as they are.
    pub taken: u64,
    /// How many were refused in words.
    pub refused: u64,
    /// What was judged wrongly, where something was: the series ended there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrong: Option<String>,
}

impl Setting {
    /// What these settings ask for.
    pub fn of(settings: &Settings) -> Self {
        Self {
            seconds: settings.time.as_secs_f64(),
            rate: settings.rate,
            classes: settings.classes.iter().map(|class| class.as_str().into()).collect(),
            pooled: settings.pooled,
            older: settings.older.is_some(),
            pause_ms: settings.pause.as_millis() as u64,
        }
    }
}

impl Ran {
    /// A run's report.
    pub fn of(origin: Origin, setting: Setting, report: &Report) -> Self {
        let judged = |finding: &crate::checkers::Finding| Judged {
            rule: finding.rule.into(),
            looked_at: finding.looked_at,
            violations: finding.violations.len(),
            words: finding.violations.iter().take(IN_WORDS).cloned().collect(),
        };
        Self {
            jobs: report.jobs,
            attempts: report.attempts,
            webhooks: report.webhooks,
            faults: report.faults.clone(),
            zombies: report.zombies,
            refused: report.refused,
            repeated: report.repeated,
            outside: report.outside,
            recoveries_ms: ms(&report.recoveries),
            rescues_ms: ms(&report.rescues),
            regained_ms: ms(&report.regained),
            findings: report.findings.iter().map(|finding| (finding.id.into(), judged(finding))).collect(),
            places: short(&report.coverage.places),
            ways: report.coverage.ways.clone(),
            took_s: report.took.as_secs(),
            ..Self::broken(origin, setting, report.seed, None)
        }
    }

    /// A run that came to nothing.
    pub fn broken(origin: Origin, setting: Setting, seed: u64, broke: Option<String>) -> Self {
        Self {
            origin,
            seed,
            setting,
            broke,
            jobs: 0,
            attempts: 0,
            webhooks: 0,
            faults: BTreeMap::new(),
            zombies: 0,
            refused: 0,
            repeated: 0,
            outside: 0,
            recoveries_ms: Vec::new(),
            rescues_ms: Vec::new(),
            regained_ms: Vec::new(),
            findings: BTreeMap::new(),
            places: Vec::new(),
            ways: BTreeMap::new(),
            took_s: 0,
        }
    }

    /// Whether workers could be partitioned in it.
    pub fn has_namespaces(&self) -> bool {
        self.broke.is_none() && self.setting.classes.iter().any(|class| class == Class::Partition.as_str())
    }

    /// Whether it ended, and nothing was found.
    pub fn is_clean(&self) -> bool {
        self.broke.is_none() && self.findings.values().all(|judged| judged.violations == 0)
    }

    /// Whether everything in it has ended: of what has not, its figures say nothing.
    pub fn has_drained(&self) -> bool {
        self.broke.is_none() && self.findings.get("I12").is_none_or(|judged| judged.violations == 0)
    }

    /// What it has touched.
    pub fn coverage(&self) -> Coverage {
        Coverage { places: long(&self.places), ways: self.ways.clone() }
    }
}

impl Tried {
    /// What a series came to.
    pub fn of(origin: Origin, inputs: &str, seed: u64, came: &Result<Counts, Wrong>) -> Self {
        let (counts, wrong) = match came {
            Ok(counts) => (counts, None),
            Err(wrong) => (&wrong.counts, Some(wrong.words.clone())),
        };
        Self { origin, inputs: inputs.into(), seed, tried: counts.tried, taken: counts.taken, refused: counts.refused, wrong }
    }
}

fn ms(times: &[Duration]) -> Vec<u64> {
    times.iter().map(|time| time.as_millis() as u64).collect()
}

const SIDES: [&str; 2] = [" before", " after"];

/// Places, with a statement in the place of both of its sides.
fn short(places: &BTreeSet<String>) -> Vec<String> {
    let statement = |place: &str| SIDES.iter().find_map(|side| place.strip_suffix(side)).map(ToOwned::to_owned);
    let has_both = |statement: &String| SIDES.iter().all(|side| places.contains(&format!("{statement}{side}")));
    let short: BTreeSet<String> = places.iter().map(|place| statement(place).filter(has_both).unwrap_or_else(|| place.clone())).collect();
    short.into_iter().collect()
}

fn long(places: &[String]) -> BTreeSet<String> {
    let has_side = |place: &str| SIDES.iter().any(|side| place.ends_with(side));
    let sides = |place: &String| -> Vec<String> {
        if has_side(place) { vec![place.clone()] } else { SIDES.iter().map(|side| format!("{place}{side}")).collect() }
    };
    places.iter().flat_map(sides).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_that_was_judged_wrongly_keeps_what_it_had_tried() {
        let counts = Counts { tried: 7, taken: 4, refused: 2 };
        let origin = crate::results::tests::ran(1, "a", 0).origin;
        let tried = Tried::of(origin, "rows", 3, &Err(Wrong { counts, words: "a row was lost".into() }));
        assert_eq!((tried.tried, tried.taken, tried.refused), (7, 4, 2));
        assert_eq!(tried.wrong.as_deref(), Some("a row was lost"));
    }

    #[test]
    fn places_are_the_same_after_the_journal() {
        let places: BTreeSet<String> = ["claim/take before", "claim/take after", "run/next before"].map(String::from).into();
        assert_eq!(short(&places), ["claim/take", "run/next before"]);
        assert_eq!(long(&short(&places)), places);
    }
}
