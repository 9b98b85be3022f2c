//! I3: a job ends once, nothing follows its end, and no fact is ever changed.

use super::Finding;
use crate::facts::Facts;

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I3", "a job ends once, and what was written of it stays");
    for (job, attempts) in &facts.attempts {
        let ends = attempts.iter().filter(|attempt| attempt.is_last()).count();
        finding.holds(ends <= 1, || format!("job {job} ended {ends} times"));
        let after = attempts.iter().position(crate::facts::Attempt::is_last).is_some_and(|place| place + 1 < attempts.len());
        finding.holds(!after, || format!("job {job} went on after its end"));
        let whole = attempts.iter().zip(1..).all(|(attempt, number)| attempt.attempt == number);
        finding.holds(whole, || format!("the attempts of job {job} have gaps"));
    }
    finding.looked_at += facts.observed.seen;
    finding.holds(facts.attempts.is_empty() || facts.observed.seen > 0, || "nothing was looked at while the run went on".into());
    finding.violations.extend(facts.observed.revised.iter().cloned());
    finding
}
