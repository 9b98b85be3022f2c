//! I6: no job is tried more often than it may, and no job takes more than three workers with it.

use super::Finding;
use crate::{facts::Facts, model::POLICY};

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I6", "attempts stay within their bounds");
    for (job, attempts) in &facts.attempts {
        let of = |category: &str| attempts.iter().filter(|attempt| attempt.category.as_deref() == Some(category)).count();
        let alone = of("poison");
        finding.holds(alone <= 3, || format!("job {job} was alone with {alone} workers that died"));
        let failed = attempts.iter().filter(|attempt| matches!(attempt.outcome.as_str(), "failed" | "dead")).count();
        let most = POLICY.iter().map(|(_, most, _)| *most as usize).max().unwrap_or(0);
        finding.holds(failed <= most, || format!("job {job} failed {failed} times"));
        let silent =
            attempts.iter().find(|attempt| matches!(attempt.outcome.as_str(), "failed" | "dead" | "lost") && attempt.error.is_none());
        finding.holds(silent.is_none(), || format!("job {job} failed without a word: {silent:?}"));
    }
    finding
}
