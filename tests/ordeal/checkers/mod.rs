//! What must hold of every run, one file an invariant. Each says how much it looked at: a checker that looked at nothing
//! has proved nothing.

mod apart;
mod arguments;
mod attempts;
mod batches;
mod breaker;
mod canaries;
mod contested;
mod cron;
mod dealt;
mod drains;
mod due;
mod effects;
mod end_state;
mod inbox;
mod letters;
mod limits;
mod lost;
#[cfg(test)]
pub(crate) mod made;
mod mails;
mod notes;
mod one_end;
mod order;
mod overtaken;
mod policy;
mod prompt;
mod recovery;
mod restarts;
mod schedules;
mod stuck;
mod token;
mod undone;
mod unexpected;
mod unique;
mod versions;

use crate::facts::Facts;

/// What one checker found.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The invariant's number.
    pub id: &'static str,
    /// What must hold.
    pub rule: &'static str,
    /// How many things it looked at.
    pub looked_at: usize,
    /// What does not hold, in words.
    pub violations: Vec<String>,
}

impl Finding {
    const fn new(id: &'static str, rule: &'static str) -> Self {
        Self { id, rule, looked_at: 0, violations: Vec::new() }
    }

    fn looks(&mut self) {
        self.looked_at += 1;
    }

    fn violated(&mut self, how: String) {
        self.violations.push(how);
    }

    fn holds(&mut self, condition: bool, how: impl FnOnce() -> String) {
        self.looks();
        if !condition {
            self.violated(how());
        }
    }
}

/// Every checker's finding.
pub fn check(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![
        lost::check(facts),
        unexpected::check(facts),
        end_state::check(facts),
        one_end::check(facts),
        token::check(facts),
        effects::check(facts),
        attempts::check(facts),
        unique::check(facts),
        undone::check(facts),
        contested::check(facts),
        batches::check(facts),
        notes::check(facts),
        limits::check(facts),
        order::check(facts),
        overtaken::check(facts),
        due::check(facts),
        breaker::check(facts),
        cron::check(facts),
        schedules::check(facts),
        arguments::check(facts),
        stuck::check(facts),
        recovery::check(facts),
        inbox::check(facts),
        letters::check(facts),
        dealt::check(facts),
        restarts::check(facts),
        policy::check(facts),
        mails::check(facts),
        canaries::check(facts),
        said("I16", "resources are back to where they were", &facts.observed.left_over),
        said("doctor", "the doctor finds no fault", &facts.observed.doctor),
    ];
    findings.extend(prompt::check(facts));
    findings.extend(apart::check(facts));
    if facts.mixed {
        findings.push(versions::check(facts));
    }
    findings
}

/// What the run's end said itself.
fn said(id: &'static str, rule: &'static str, problems: &[String]) -> Finding {
    Finding { looked_at: 1, violations: problems.to_vec(), ..Finding::new(id, rule) }
}
