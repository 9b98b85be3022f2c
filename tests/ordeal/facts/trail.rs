//! The trail of breakers: the engine keeps the last change of each, and the run's own table all of them.

use chrono::{DateTime, Utc};

use super::{Facts, all};
use crate::{journal, kinds::CALLED, ledger::Look, stage::Stage};

/// A change of a breaker.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Switch {
    /// Its number: of one breaker what was committed later has a higher one.
    pub id: i64,
    /// The outside system.
    pub system: String,
    /// `closed`, `open` or `half_open`.
    pub state: String,
    /// What an operator holds it at.
    pub held: Option<String>,
    /// When its next probe may go, or when the one that is on its way might.
    pub probe_at: Option<DateTime<Utc>>,
    /// The job that went as a probe last.
    pub probe_job: Option<i64>,
    /// And its attempt.
    pub probe_attempt: Option<i32>,
    /// When it was written.
    pub at: DateTime<Utc>,
}

impl Switch {
    /// Whether calls are held from then on.
    pub fn bars(&self) -> bool {
        self.held.as_deref().unwrap_or(&self.state) != "closed"
    }

    /// The attempt that is on its way to find out how the system is.
    pub fn probe(&self) -> Option<(i64, i32)> {
        self.probe_job.zip(self.probe_attempt).filter(|_| self.state == "half_open")
    }
}

/// All changes of a run, and what was seen of those of the breaker that holds programs.
#[derive(Debug, Clone, Default)]
pub struct Trail {
    /// The changes, of each breaker in the order of time.
    pub switches: Vec<Switch>,
    /// The looks that saw more than the ones before.
    pub looks: Vec<Look>,
}

impl Trail {
    /// Gathers it.
    ///
    /// # Errors
    /// The database's and the file system's.
    pub async fn gather(stage: &Stage) -> anyhow::Result<Self> {
        let switches =
            all(&stage.pool, "select id, system, state, held, probe_at, probe_job, probe_attempt, at from ordeal.switch order by id");
        Ok(Self { switches: switches.await?, looks: journal::read(&stage.folder, "looks.")? })
    }

    /// The changes of the breaker that holds programs.
    pub fn of_programs(&self) -> impl Iterator<Item = &Switch> {
        self.switches.iter().filter(|switch| switch.system == CALLED)
    }

    /// How often a probe that was answered closed it.
    pub fn closings(&self) -> usize {
        let switches: Vec<&Switch> = self.of_programs().collect();
        let is_closing =
            |pair: &&[&Switch]| pair.iter().all(|switch| switch.held.is_none()) && pair[0].probe().is_some() && pair[1].state == "closed";
        switches.windows(2).filter(is_closing).count()
    }

    /// From when on everybody could see a change, by the clock of all: it was there for somebody who looked.
    fn seen_us(&self, id: i64) -> Option<i64> {
        self.looks.iter().find(|look| look.last >= id).map(|look| look.at_us)
    }
}

impl Facts {
    /// Spans in which the calls of programs were held, by the clock of all: from where that could be seen to where somebody began to
    /// let them go.
    pub fn barred(&self) -> Vec<(i64, i64)> {
        let (mut spans, mut since) = (Vec::new(), None);
        for switch in self.trail.of_programs() {
            if switch.bars() {
                since = since.or(Some(switch.id));
            } else if let Some(first) = since.take() {
                spans.extend(self.trail.seen_us(first).zip(self.by_the_clock_of_all(switch.at)));
            }
        }
        spans.extend(since.and_then(|first| self.trail.seen_us(first)).map(|from| (from, i64::MAX)));
        spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::made::{life, switch};

    #[test]
    fn calls_are_held_from_where_it_was_seen_and_while_an_operator_does() {
        let held = |ms, state: &str, held: Option<&str>| Switch { held: held.map(Into::into), ..switch(ms, state) };
        let switches = vec![
            switch(100, "open"),
            switch(300, "half_open"),
            switch(400, "closed"),
            held(600, "closed", Some("open")),
            held(900, "open", None),
            held(950, "open", Some("closed")),
            switch(990, "closed"),
            switch(2000, "open"),
        ];
        let looks = [(150, 100), (650, 600), (2050, 2000)].map(|(ms, last)| Look { at_us: ms * 1000, last }).to_vec();
        let mut facts = Facts { trail: Trail { switches, looks }, lives: vec![life(0, 1, "started")], ..Facts::default() };
        assert_eq!(facts.barred(), [(150_000, 400_000), (650_000, 950_000), (2_050_000, i64::MAX)]);
        assert_eq!(facts.trail.closings(), 1, "an operator's are not counted");
        facts.trail.looks.truncate(1);
        assert_eq!(facts.barred(), [(150_000, 400_000)], "nobody has seen more");
    }
}
