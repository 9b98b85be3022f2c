//! I15: every job that died has a letter with its reason and a notice for whoever tells people, and every letter that was dealt with
//! says by whom and how.

use std::collections::HashMap;

use super::Finding;
use crate::facts::{Facts, Letter, Notice};

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
    notices_of(facts, &mut finding);
    finding
}

fn trail(facts: &Facts, letter: &Letter, finding: &mut Finding) {
    let made: Vec<i64> = facts.jobs.iter().filter(|job| job.requeued_from == Some(letter.id)).map(|job| job.id).collect();
    // A restart makes its job of the old one, and not of the letter.
    let expected: Vec<i64> = letter.requeued_job_id.filter(|_| !letter.is_of_restart()).into_iter().collect();
    finding.holds(made == expected, || format!("letter {} was requeued as {expected:?}, and made {made:?}", letter.id));
    let signed = !letter.resolved || letter.resolved_by.as_deref() == Some("robot");
    finding.holds(signed, || format!("letter {} was dealt with by {:?}", letter.id, letter.resolved_by));
}

/// Of each death somebody is told once, and of nothing but failures: nobody takes notices away in a run.
fn notices_of(facts: &Facts, finding: &mut Finding) {
    let mut told: HashMap<(i64, i32), Vec<&Notice>> = HashMap::new();
    for notice in &facts.notices {
        told.entry((notice.job_id, notice.attempt)).or_default().push(notice);
    }
    for attempt in facts.attempts.values().flatten().filter(|attempt| matches!(attempt.outcome.as_str(), "failed" | "dead")) {
        let (job, number, outcome) = (attempt.job_id, attempt.attempt, &attempt.outcome);
        let notices = told.remove(&(job, number)).unwrap_or_default();
        let as_many = notices.len() == 1 || (notices.is_empty() && outcome == "failed");
        finding.holds(as_many, || format!("attempt {number} of job {job} is {outcome}, and {} notices tell of it", notices.len()));
        let as_it_was = notices.iter().all(|notice| notice.category == attempt.category);
        finding.holds(as_it_was, || format!("attempt {number} of job {job} failed as {:?}: {notices:?}", attempt.category));
    }
    let odd = told.keys().map(|(job, number)| format!("a notice tells of attempt {number} of job {job}, which did not fail"));
    finding.violations.extend(odd);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{checkers::made::attempt, facts::Attempt};

    #[test]
    fn each_death_has_one_notice_and_what_did_not_fail_has_none() {
        let of = |number, outcome: &str| Attempt { category: Some("upstream".into()), ..attempt(1, number, outcome) };
        let attempts = vec![of(1, "failed"), of(2, "released"), of(3, "dead")];
        let notice = |attempt, category: &str| Notice { job_id: 1, attempt, category: Some(category.into()) };
        let wrong = |notices: Vec<Notice>| {
            let mut finding = Finding::new("I15", "");
            notices_of(&Facts { notices, attempts: [(1, attempts.clone())].into(), ..Facts::default() }, &mut finding);
            finding.violations.len()
        };
        assert_eq!(wrong(vec![notice(3, "upstream")]), 0);
        assert_eq!(wrong(vec![notice(1, "upstream"), notice(3, "upstream")]), 0, "a policy may alert of any failure");
        assert_eq!(wrong(vec![]), 1, "nobody is told");
        assert_eq!(wrong(vec![notice(3, "upstream"), notice(3, "upstream")]), 1, "twice");
        assert_eq!(wrong(vec![notice(3, "bug")]), 1, "of something else");
        assert_eq!(wrong(vec![notice(3, "upstream"), notice(2, "upstream")]), 1, "that did not fail");
    }
}
