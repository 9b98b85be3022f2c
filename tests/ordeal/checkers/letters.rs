//! I15: every job that died has a letter with its reason, and every letter that was dealt with says by whom and how.

use std::collections::HashMap;

use super::Finding;
use crate::facts::{Facts, Letter};

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I15", "every death has its letter, every requeue its trail");
    let mut of_job: HashMap<i64, Vec<&Letter>> = HashMap::new();
    for letter in &facts.letters {
        match letter.job_id {
            Some(job) => of_job.entry(job).or_default().push(letter),
            None => finding.violated(format!("letter {} is of no job", letter.id)),
        }
    }
    for attempt in facts.attempts.values().flatten().filter(|attempt| attempt.outcome == "dead") {
        let letters = of_job.remove(&attempt.job_id).unwrap_or_default();
        finding.holds(letters.len() == 1, || format!("job {} is dead and has {} letters", attempt.job_id, letters.len()));
        for letter in letters {
            let reason = letter.category.is_some() && letter.error_message.as_ref().is_some_and(|error| !error.is_empty());
            let same = attempt.category.as_deref() == Some("poison") || letter.category == attempt.category;
            finding.holds(reason && same, || format!("letter {} does not say why job {} died", letter.id, attempt.job_id));
        }
    }
    finding.violations.extend(of_job.keys().map(|job| format!("job {job} has a letter and is not dead")));
    for letter in &facts.letters {
        trail(facts, letter, &mut finding);
    }
    finding
}

fn trail(facts: &Facts, letter: &Letter, finding: &mut Finding) {
    let made: Vec<i64> = facts.jobs.iter().filter(|job| job.requeued_from == Some(letter.id)).map(|job| job.id).collect();
    let expected: Vec<i64> = letter.requeued_job_id.into_iter().collect();
    finding.holds(made == expected, || format!("letter {} was requeued as {expected:?}, and made {made:?}", letter.id));
    let signed = !letter.resolved || letter.resolved_by.as_deref() == Some("robot");
    finding.holds(signed, || format!("letter {} was dealt with by {:?}", letter.id, letter.resolved_by));
}
