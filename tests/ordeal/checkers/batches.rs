//! Batches: when all of one have ended something is called back, once, and is told how each ended.

use serde_json::json;

use super::Finding;
use crate::{
    facts::{Facts, Job},
    ledger::{Act, Intent},
    program::Program,
};

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("batch", "a batch is called back once, after all of it have ended, and told how they did");
    for intent in &facts.intents {
        let Some(callback) = &intent.callback else { continue };
        finding.looks();
        if let Some(wrong) = judge(facts, intent, callback) {
            finding.violated(format!("the batch of {}: {wrong}", callback.key));
        }
    }
    finding
}

fn judge(facts: &Facts, intent: &Intent, callback: &Program) -> Option<String> {
    let parts: Vec<&Job> = intent.programs.iter().filter_map(|program| facts.job_of(&program.key)).collect();
    let called = facts.by_key.get(&callback.key).map_or(0, Vec::len);
    let Some(batch) = parts.first().and_then(|part| part.parent_id) else {
        return (called > 0).then(|| "it was called back, and nothing of it is there".into());
    };
    if let Some(wrong) = cancelled(facts, batch, &parts, called) {
        return Some(wrong);
    }
    // One that was lost with its worker three times is given up, and calls nobody; one that has not ended is stuck.
    if facts.end_of(batch).is_none_or(|end| end.outcome != "completed") {
        return None;
    }
    let Some(job) = facts.job_of(&callback.key).filter(|_| called == 1) else {
        return Some(format!("it was called back {called} times"));
    };
    let ends: Vec<_> = parts.iter().filter_map(|part| facts.end_of(part.id)).collect();
    let of = |outcome: &str| ends.iter().filter(|end| end.outcome == outcome).count();
    let told = json!({ "id": batch.to_string(), "completed": of("completed"), "cancelled": of("cancelled"), "dead": of("dead") });
    if job.args.get("batch") != Some(&told) {
        return Some(format!("it was told {:?} and must be told {told}", job.args.get("batch")));
    }
    let late = ends.iter().find(|end| end.finished_at > job.created_at);
    late.map(|end| format!("it was called back before job {} had ended", end.job_id))
}

/// Of a batch that an operator cancelled everything ends, and nothing is called back.
fn cancelled(facts: &Facts, batch: i64, parts: &[&Job], called: usize) -> Option<String> {
    let end = facts.end_of(batch)?;
    let told = facts.cancelled(batch).map(Act::words);
    if end.outcome != "cancelled" {
        return (told == Some("Cancelled")).then(|| format!("an operator was told that it is cancelled, and it is {}", end.outcome));
    }
    if told.is_none() {
        return Some("it is cancelled, and nobody asked for that".into());
    }
    // One that was calling back when it was cancelled may have done so.
    if called > usize::from(told != Some("Cancelled")) {
        return Some(format!("it was cancelled, and called back {called} times"));
    }
    let open = parts.iter().find(|part| facts.end_of(part.id).is_none());
    open.map(|part| format!("it was cancelled, and job {} of it has not ended", part.id))
}
