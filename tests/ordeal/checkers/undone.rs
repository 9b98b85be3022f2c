//! What a workflow did is undone when it died or was cancelled, the last act first, and never otherwise.

use super::Finding;
use crate::{
    facts::{Facts, Job},
    model::{End, foresee},
    program::{Act, Program},
};

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("undone", "what a workflow did is undone, last first, if it died or was cancelled");
    for (key, program) in &facts.programs {
        if !program.acts.iter().any(|act| matches!(act, Act::Undo(_))) {
            continue;
        }
        let Some((job, end)) = facts.job_of(key).and_then(|job| Some((job, facts.end_of(job.id)?))) else { continue };
        let foreseen = foresee(program);
        let whole = matches!(foreseen.end, End::Dead(category) if end.outcome == "dead" && end.category.as_deref() == Some(category));
        let must: Vec<&Program> = if end.outcome == "completed" { Vec::new() } else { foreseen.undone.clone() };
        // Ended by somebody else's word or as innocent poison, it had got to any of them.
        let there: Vec<&Program> = must.iter().copied().filter(|undo| facts.by_key.contains_key(&undo.key)).collect();
        let enough = if whole || end.outcome == "completed" { there.len() == must.len() } else { must.starts_with(&there) };
        finding
            .holds(enough, || format!("job {} ended as {}, and {} of {} acts were undone", job.id, end.outcome, there.len(), must.len()));
        let none = end.outcome != "completed" || foreseen.undone.iter().all(|undo| !facts.by_key.contains_key(&undo.key));
        finding.holds(none, || format!("job {} completed, and something of it was undone", job.id));
        let undoing: Vec<&Job> = there.iter().filter_map(|undo| facts.job_of(&undo.key)).collect();
        finding.holds(is_backward(facts, &undoing), || format!("what job {} did was not undone in order, the last first", job.id));
    }
    finding
}

/// Whether each of these began after the one that follows it had ended.
fn is_backward(facts: &Facts, undoing: &[&Job]) -> bool {
    undoing.windows(2).all(|pair| {
        let began = facts.attempts_of(pair[0].id).first().map(|attempt| attempt.started_at);
        let ended = facts.end_of(pair[1].id).map(|end| end.finished_at);
        matches!((began, ended), (Some(began), Some(ended)) if began >= ended)
    })
}
