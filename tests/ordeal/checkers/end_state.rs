//! The model: every program ends as it must, after as many failures and snoozes as it must.

use super::Finding;
use crate::{
    facts::{Attempt, Facts, Job},
    model::{End, Foreseen, foresee},
    program::{Manner, Program, RATE, checksum},
};

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("model", "every program ends as the sequential model says");
    for job in &facts.jobs {
        let Some(program) = job.key().and_then(|key| facts.programs.get(key)) else {
            product(facts, job, &mut finding);
            continue;
        };
        finding.looks();
        // What has not ended is the business of the checker of what is stuck.
        let Some(end) = facts.end_of(job.id) else { continue };
        if let Some(wrong) = judge(facts, job, program, end) {
            finding.violated(format!("job {} of program {}: {wrong}", job.id, program.key));
        }
    }
    finding
}

/// The jobs of the product and of the clock complete, but for mails; a batch may be cancelled.
fn product(facts: &Facts, job: &Job, finding: &mut Finding) {
    if let Some(end) = facts.end_of(job.id) {
        // A mail that the outside refused too often is dead, and its row says so.
        let mail = job.kind == "outbox.deliver_message" && end.outcome == "dead";
        let batch = job.is_batch() && facts.is_cancelled(job.id);
        let well = end.outcome == "completed" || mail || batch || is_innocent_poison(facts, job.id);
        finding.holds(well, || format!("job {} of kind {} ended as {}: {:?}", job.id, job.kind, end.outcome, end.error));
    }
}

fn judge(facts: &Facts, job: &Job, program: &Program, end: &Attempt) -> Option<String> {
    let foreseen = foresee(program);
    if let Some(act) = facts.cancelled(job.id) {
        let answer = act.answer.as_deref().unwrap_or_default();
        if answer == "Cancelled" && end.outcome != "cancelled" {
            return Some(format!("an operator was told that it is cancelled, and it is {}", end.outcome));
        }
        if end.outcome == "cancelled" {
            return started_after(facts, job.id, answer, act.answered_us);
        }
    }
    if end.outcome == "cancelled" && facts.was_cancelled_with_batch(job.id) {
        return None;
    }
    // What displaced it is looked at by another checker.
    if job.manner() != Manner::Yields && facts.was_displaced(job.id) {
        return None;
    }
    if end.outcome == "dead" && end.category.as_deref() == Some("poison") && foreseen.end != End::Dead("poison") {
        return (!is_innocent_poison(facts, job.id)).then(|| "it is called poison, and did no harm".to_string());
    }
    let as_foreseen = match foreseen.end {
        End::Completed(_) => end.outcome == "completed",
        End::Dead(category) => end.outcome == "dead" && end.category.as_deref() == Some(category),
        End::Cancelled => end.outcome == "cancelled",
        End::Held => false,
    };
    if !as_foreseen {
        let (outcome, category, error) = (&end.outcome, &end.category, &end.error);
        return Some(format!("it must be {:?} and is {outcome} of {category:?}: {error:?}", foreseen.end));
    }
    counts(facts, job.id, program, &foreseen).or_else(|| output(program, &foreseen, end))
}

/// What was cancelled before it ran never runs.
fn started_after(facts: &Facts, job: i64, answer: &str, answered_us: Option<i64>) -> Option<String> {
    let answered_us = answered_us.filter(|_| answer == "Cancelled")?;
    let late = facts.words.iter().find(|word| word.job == job && word.at_us > answered_us);
    late.map(|word| format!("it was cancelled, and attempt {} still did {:?}", word.attempt, word.what))
}

fn counts(facts: &Facts, job: i64, program: &Program, foreseen: &Foreseen<'_>) -> Option<String> {
    let of = |outcome: &str| facts.attempts_of(job).iter().filter(|attempt| attempt.outcome == outcome).count();
    let died = usize::from(matches!(foreseen.end, End::Dead(category) if category != "poison"));
    // Its rate may send a program back as often as it likes.
    let rated = program.limit.as_deref() == Some(RATE.0);
    let (failed, snoozed) = (of("failed") + died, if rated { 0 } else { of("snoozed") });
    let wrong = (failed, snoozed) != (foreseen.failed, foreseen.snoozed);
    wrong.then(|| format!("it must fail {} and snooze {} times, and did {failed} and {snoozed} times", foreseen.failed, foreseen.snoozed))
}

fn output(program: &Program, foreseen: &Foreseen<'_>, end: &Attempt) -> Option<String> {
    if !matches!(foreseen.end, End::Completed(_)) {
        return None;
    }
    let counted = foreseen.failed + foreseen.snoozed;
    let expected = serde_json::json!({ "program": program.key, "counted": counted, "sum": checksum(&program.chaff) });
    (end.output.as_ref() != Some(&expected)).then(|| format!("its output is {:?} and must be {expected}", end.output))
}

/// Whether a job that kills nobody lost its worker three times while it ran alone, each time to a fault of the run: then
/// the engine was right to take it for poison.
fn is_innocent_poison(facts: &Facts, job: i64) -> bool {
    let alone: Vec<&Attempt> = facts.attempts_of(job).iter().filter(|attempt| attempt.category.as_deref() == Some("poison")).collect();
    alone.len() == 3
        && alone.iter().all(|attempt| {
            let pid = attempt.worker_id.and_then(|id| facts.workers.iter().find(|worker| worker.id == id)).and_then(|worker| worker.pid);
            pid.is_some_and(|pid| facts.lives.iter().any(|life| i64::from(life.pid) == pid && life.what != "started"))
        })
}
