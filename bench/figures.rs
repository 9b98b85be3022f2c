//! What was measured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The engine under test.
pub const RAWOPS: &str = "rawops";
/// The same statements with no engine around.
pub const RAW: &str = "raw SQL";

/// Every figure, in order of its first measurement.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// The round that goes on.
    #[serde(skip)]
    pub round: usize,
    /// What was measured so far.
    all: Vec<Figure>,
}

/// One figure of one subject, over the rounds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured, with its unit: `drain, 1 process (jobs/s)`.
    pub name: String,
    /// Whose it is: [`RAWOPS`], [`RAW`] or a peer.
    pub subject: String,
    /// The value of each round in which it was measured.
    pub values: BTreeMap<usize, f64>,
}

impl Figure {
    /// The middle value, of an even number the upper middle.
    pub fn median(&self) -> f64 {
        middle(self.values.values().copied().collect())
    }
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl Figures {
    /// The value of this round.
    pub fn note(&mut self, name: &str, subject: &str, value: f64) {
        let known = self.all.iter().position(|figure| figure.name == name && figure.subject == subject);
        let at = known.unwrap_or_else(|| {
            self.all.push(Figure { name: name.into(), subject: subject.into(), values: BTreeMap::new() });
            self.all.len() - 1
        });
        self.all[at].values.insert(self.round, value);
    }

    /// The median of a subject's figure.
    pub fn median(&self, name: &str, subject: &str) -> Option<f64> {
        self.all.iter().find(|figure| figure.name == name && figure.subject == subject).map(Figure::median)
    }

    /// The median over rounds of one subject's value divided by another's of the same round: noise that lasts longer
    /// than a round cancels.
    pub fn ratio(&self, (name, subject): (&str, &str), (other_name, other): (&str, &str)) -> Option<f64> {
        let of = |name, subject| self.all.iter().find(|figure| figure.name == name && figure.subject == subject);
        let (above, below) = (of(name, subject)?, of(other_name, other)?);
        let values: Vec<f64> = above.values.iter().filter_map(|(round, above)| Some(above / below.values.get(round)?)).collect();
        (!values.is_empty()).then(|| middle(values))
    }

    /// The names, each once, in order.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for figure in &self.all {
            if !names.contains(&figure.name.as_str()) {
                names.push(&figure.name);
            }
        }
        names
    }

    /// The peer with the best median: the most, or of times the least.
    pub fn best_peer(&self, name: &str) -> Option<(&str, f64)> {
        let peers = self.all.iter().filter(|figure| figure.name == name && figure.subject != RAWOPS && figure.subject != RAW);
        let better = |a: &f64, b: &f64| if is_time(name) { b.total_cmp(a) } else { a.total_cmp(b) };
        peers.map(|figure| (figure.subject.as_str(), figure.median())).max_by(|a, b| better(&a.1, &b.1))
    }
}

/// Whether less of it is better.
pub fn is_time(name: &str) -> bool {
    ["(ms)", "(MB)", "(bytes)", "(µs)"].iter().any(|unit| name.ends_with(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_compares_what_was_measured_in_the_same_round() {
        let mut figures = Figures::default();
        for (round, ours, theirs) in [(1, 10.0, Some(5.0)), (2, 100.0, None), (3, 9.0, Some(3.0)), (4, 8.0, Some(8.0))] {
            figures.round = round;
            figures.note("rate", RAWOPS, ours);
            if let Some(theirs) = theirs {
                figures.note("rate", RAW, theirs);
            }
        }
        assert_eq!(figures.ratio(("rate", RAWOPS), ("rate", RAW)), Some(2.0), "of 2, 3 and 1");
        assert_eq!(figures.median("rate", RAWOPS), Some(10.0), "of even many the upper middle");
    }
}
