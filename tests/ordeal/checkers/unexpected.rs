//! I2: nothing is there that nobody asked for, and nothing twice.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use uuid::Uuid;

use super::Finding;
use crate::{
    facts::{Facts, Letter},
    ledger::Deed,
    program::Played,
};

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I2", "no job is there that nobody asked for, or twice");
    let fired: HashSet<i64> = facts.occurrences.iter().filter_map(|occurrence| occurrence.job_id).collect();
    for job in &facts.jobs {
        match job.kind.as_str() {
            kind if Played::is_of(kind) => {
                let known = job.key().is_some_and(|key| facts.programs.contains_key(key));
                finding.holds(known, || format!("job {} plays {:?}, which nobody enqueued", job.id, job.key()));
            }
            "ordeal.tick" => finding.holds(fired.contains(&job.id), || format!("job {} ticks, and no occurrence made it", job.id)),
            _ => (),
        }
    }
    let repeats = repeats(facts);
    for (key, places) in &facts.by_key {
        let is_again = |id: i64| repeats.contains(&id) || facts.restarts.contains_key(&id);
        let asked = places.iter().filter(|place| !is_again(facts.jobs[**place].id)).count();
        finding.holds(asked == 1, || format!("program {key} has {asked} jobs, but for those that run again"));
    }
    held_keys(facts, &mut finding);
    webhooks(facts, &mut finding);
    finding
}

/// The jobs of letters that somebody asked to run again as they were; that there is but one of each is looked at with the letter, as are
/// restarts by their own checker.
fn repeats(facts: &Facts) -> HashSet<i64> {
    let asked = facts.acts.iter().filter_map(|act| matches!(act.what, Deed::Repeat(_)).then(|| act.what.letter())?);
    let asked: HashSet<Uuid> = asked.collect();
    let letters = facts.letters.iter().filter(|letter| asked.contains(&letter.id));
    let is_same = |letter: &&Letter| {
        let job = letter.requeued_job_id.and_then(|id| facts.job(id));
        job.is_some_and(|job| job.requeued_from == Some(letter.id) && job.args == letter.payload)
    };
    letters.filter(is_same).filter_map(|letter| letter.requeued_job_id).collect()
}

/// A program that was told of another's job shares its unique key, and has none of its own.
fn held_keys(facts: &Facts, finding: &mut Finding) {
    for intent in facts.intents.iter().filter(|intent| intent.keyed) {
        let program = &intent.programs[0];
        let Some(id) = facts.acks.get(&program.key).and_then(|ack| ack.jobs[0]) else { continue };
        let Ok(place) = facts.jobs.binary_search_by_key(&id, |job| job.id) else { continue };
        let job = &facts.jobs[place];
        if job.key() == Some(&program.key) {
            continue;
        }
        let shares = program.unique.is_some() && program.unique == job.unique_key;
        finding.holds(shares && !facts.by_key.contains_key(&program.key), || {
            format!("program {} was told of job {id}, which plays {:?} under the unique key {:?}", program.key, job.key(), job.unique_key)
        });
    }
}

/// A row of the inbox makes one job. Its letter, requeued, would make another, which says so.
fn webhooks(facts: &Facts, finding: &mut Finding) {
    let rows: HashSet<String> = facts.hooks.iter().map(|hook| hook.id.to_string()).collect();
    let mut made: HashMap<(&str, &str), usize> = HashMap::new();
    for job in facts.jobs.iter().filter(|job| job.requeued_from.is_none()) {
        if let Some(row) = job.args.get("inbox_id").and_then(Value::as_str) {
            *made.entry((job.kind.as_str(), row)).or_default() += 1;
        }
    }
    for ((kind, row), jobs) in made {
        finding.holds(jobs == 1, || format!("the row {row} of the inbox has made {jobs} jobs of kind {kind}"));
        finding.holds(rows.contains(row), || format!("a job of kind {kind} is there for the row {row} of the inbox, which is not"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        checkers::made::wall,
        facts::{Hook, Job},
    };

    #[test]
    fn a_row_of_the_inbox_makes_one_job_unless_its_letter_is_requeued() {
        let job = |id, row: u128, requeued_from| Job {
            id,
            kind: "orders.process_order".into(),
            args: json!({ "inbox_id": Uuid::from_u128(row) }),
            unique_key: None,
            limit_key: None,
            priority: 5,
            parent_id: None,
            requeued_from,
            deadline: None,
            created_at: wall(0),
        };
        let hook = |row| Hook {
            id: Uuid::from_u128(row),
            webhook_id: "of the sender".into(),
            raw_body: Vec::new(),
            processing_status: "success".into(),
        };
        let wrong = |jobs: Vec<Job>| check(&Facts { jobs, hooks: vec![hook(1), hook(2)], ..Facts::default() }).violations.len();
        assert_eq!(wrong(vec![job(1, 1, None), job(2, 2, None), job(3, 1, Some(Uuid::from_u128(9)))]), 0);
        assert_eq!(wrong(vec![job(1, 1, None), job(2, 1, None)]), 1, "twice");
        assert_eq!(wrong(vec![job(1, 3, None)]), 1, "for no row");
    }
}
