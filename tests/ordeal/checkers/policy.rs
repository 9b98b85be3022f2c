//! The policy that decides about a failure is the one that was there, and an attempt says which that was.

use chrono::{DateTime, TimeDelta, Utc};

use super::Finding;
use crate::{
    facts::{Facts, Version},
    ledger::{Deed, Edit},
    model::OF_PROGRAMS,
};

/// For so long after it is written an edit may be seen by nobody.
const COMMIT: TimeDelta = TimeDelta::seconds(2);
/// And for so long where the server was away: its commit waits for a standby, or for a server that comes up.
const COMMIT_OF_STRUCK: TimeDelta = TimeDelta::seconds(10);
/// What two clocks of one machine may differ by, in microseconds.
const TOLERANCE_US: i64 = 60_000;

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("policy", "each failure was decided by the policy of its time, and every edit is in its history");
    for attempt in facts.attempts.values().flatten().filter(|attempt| matches!(attempt.outcome.as_str(), "failed" | "dead")) {
        let Some(category) = attempt.category.as_deref().filter(|category| OF_PROGRAMS.iter().any(|(name, ..)| name == category)) else {
            continue;
        };
        let Some(job) = facts.job(attempt.job_id) else { continue };
        let (of, at) = (|t| deciding(&facts.policy, category, &job.kind, t), attempt.finished_at);
        let at_us = facts.by_the_clock_of_all(at).unwrap_or_default();
        let was_away = facts.was_away(at_us - COMMIT_OF_STRUCK.num_microseconds().unwrap_or_default(), at_us);
        let since = at - if was_away { COMMIT_OF_STRUCK } else { COMMIT };
        let edits = facts.policy.iter().map(|version| version.changed_at).filter(|changed| *changed > since && *changed <= at);
        let mut versions = std::iter::once(since).chain(edits).filter_map(of);
        finding.holds(attempt.policy_version.is_some_and(|said| versions.any(|version| version == said)), || {
            let (job, number, said) = (attempt.job_id, attempt.attempt, attempt.policy_version);
            format!("attempt {number} of job {job}, which failed as {category} at {at}, was decided by version {said:?}")
        });
    }
    for act in &facts.acts {
        if let (Deed::Edit(edit), Some(answered_us)) = (&act.what, act.answered_us) {
            let (is_taken, words) = (act.words() == "written", act.words());
            finding.holds(is_taken, || format!("{edit:?} was refused: {words}"));
            finding.holds(!is_taken || is_written(facts, edit, act.asked_us, answered_us), || {
                format!("the history knows nothing of {edit:?}")
            });
        }
    }
    finding
}

/// The version of the row that decided about failures of a kind at a moment.
fn deciding(policy: &[Version], category: &str, kind: &str, at: DateTime<Utc>) -> Option<i32> {
    [(category, Some(kind)), (category, None), ("default", None)].into_iter().find_map(|(category, kind)| {
        let is_of = |version: &&Version| version.category == category && version.kind.as_deref() == kind && version.changed_at <= at;
        policy.iter().rfind(is_of).filter(|last| last.what != "removed").map(|last| last.version)
    })
}

/// Whether the history has an edit that was answered; one that took away what was not there changed nothing.
fn is_written(facts: &Facts, edit: &Edit, asked_us: i64, answered_us: i64) -> bool {
    let Some(backoff_seconds) = &edit.backoff_seconds else { return true };
    let is_its_time = |at| (asked_us - TOLERANCE_US..answered_us + TOLERANCE_US).contains(&at);
    facts.policy.iter().any(|version| {
        version.category == edit.category
            && version.kind == edit.kind
            && version.row.get("backoff_seconds") == Some(&serde_json::json!(backoff_seconds))
            && facts.by_the_clock_of_all(version.changed_at).is_none_or(is_its_time)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        checkers::made::{add_job, attempt, life, program, wall},
        facts::Attempt,
        kinds::Play,
        ledger::{Act, Answer},
    };

    fn version(ms: i64, kind: Option<&str>, version: i32, what: &str) -> Version {
        let row = json!({ "backoff_seconds": [0, 1, 1, version] });
        Version { category: "upstream".into(), kind: kind.map(Into::into), version, what: what.into(), row, changed_at: wall(ms) }
    }

    fn facts() -> Facts {
        let of_kind = Some(<Play as engine::Job>::KIND);
        let policy = vec![
            version(0, None, 1, "found"),
            version(30_000, of_kind, 4, "made"),
            version(60_000, None, 2, "edited"),
            version(90_000, of_kind, 4, "removed"),
        ];
        let mut facts = Facts { policy, lives: vec![life(0, 1, "started")], ..Facts::default() };
        add_job(&mut facts, 1, &program("p"));
        facts
    }

    #[test]
    fn a_failure_is_decided_by_the_row_of_its_time() {
        let wrong = |ms: i64, policy_version: Option<i32>| {
            let (mut facts, category) = (facts(), Some("upstream".into()));
            let failed = Attempt { category, policy_version, finished_at: wall(ms), ..attempt(1, 1, "failed") };
            facts.attempts.insert(1, vec![failed]);
            check(&facts).violations.len()
        };
        assert_eq!((wrong(20_000, Some(1)), wrong(20_000, Some(4)), wrong(20_000, None)), (0, 1, 1));
        assert_eq!((wrong(31_000, Some(1)), wrong(31_000, Some(4))), (0, 0), "the edit may have been committed late");
        assert_eq!((wrong(35_000, Some(1)), wrong(35_000, Some(4))), (1, 0));
        assert_eq!((wrong(75_000, Some(4)), wrong(75_000, Some(2))), (0, 1), "the override is in front");
        assert_eq!((wrong(120_000, Some(2)), wrong(120_000, Some(4))), (0, 1), "it was taken away");
    }

    #[test]
    fn an_edit_that_was_answered_is_in_the_history() {
        let wrong = |number: i32, asked_us: i64| {
            let edit = Edit { category: "upstream".into(), kind: None, backoff_seconds: Some(vec![0, 1, 1, number]) };
            let answer = Some(Answer::Words("written".into()));
            let acts = vec![Act { asked_us, answered_us: Some(asked_us + 1_000_000), what: Deed::Edit(edit), answer }];
            check(&Facts { acts, ..facts() }).violations.len()
        };
        assert_eq!((wrong(2, 59_500_000), wrong(3, 59_500_000), wrong(2, 70_000_000)), (0, 1, 1));
    }
}
