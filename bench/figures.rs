//! What was measured.

use serde::{Deserialize, Serialize};

/// The engine under test.
pub const RAWOPS: &str = "rawops";
/// The same statements with no engine around.
pub const RAW: &str = "raw SQL";

/// Every figure, in order of its first measurement.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Figures(Vec<Figure>);

/// One figure of one subject, over the rounds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured, with its unit: `drain, 1 process (jobs/s)`.
    pub name: String,
    /// Whose it is: [`RAWOPS`], [`RAW`] or a peer.
    pub subject: String,
    /// One value a round.
    pub values: Vec<f64>,
}

impl Figure {
    /// The middle value, of an even number the upper middle.
    pub fn median(&self) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }
}

impl Figures {
    /// Adds a value of a round.
    pub fn note(&mut self, name: &str, subject: &str, value: f64) {
        match self.0.iter_mut().find(|figure| figure.name == name && figure.subject == subject) {
            Some(figure) => figure.values.push(value),
            None => self.0.push(Figure { name: name.into(), subject: subject.into(), values: vec![value] }),
        }
    }

    /// The median of a subject's figure.
    pub fn median(&self, name: &str, subject: &str) -> Option<f64> {
        self.0.iter().find(|figure| figure.name == name && figure.subject == subject).map(Figure::median)
    }

    /// The median over rounds of one subject's value divided by another's of the same round: noise that lasts longer
    /// than a round cancels.
    pub fn ratio(&self, (name, subject): (&str, &str), (other_name, other): (&str, &str)) -> Option<f64> {
        let of = |name, subject| self.0.iter().find(|figure| figure.name == name && figure.subject == subject);
        let (above, below) = (of(name, subject)?, of(other_name, other)?);
        let values: Vec<f64> = above.values.iter().zip(&below.values).map(|(above, below)| above / below).collect();
        (!values.is_empty()).then(|| Figure { name: String::new(), subject: String::new(), values }.median())
    }

    /// The names, each once, in order.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for figure in &self.0 {
            if !names.contains(&figure.name.as_str()) {
                names.push(&figure.name);
            }
        }
        names
    }

    /// The peer with the best median: the most, or of times the least.
    pub fn best_peer(&self, name: &str) -> Option<(&str, f64)> {
        let peers = self.0.iter().filter(|figure| figure.name == name && figure.subject != RAWOPS && figure.subject != RAW);
        let better = |a: &f64, b: &f64| if is_time(name) { b.total_cmp(a) } else { a.total_cmp(b) };
        peers.map(|figure| (figure.subject.as_str(), figure.median())).max_by(|a, b| better(&a.1, &b.1))
    }
}

/// Whether less of it is better.
pub fn is_time(name: &str) -> bool {
    ["(ms)", "(MB)", "(bytes)", "(µs)"].iter().any(|unit| name.ends_with(unit))
}
