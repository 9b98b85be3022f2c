//! Letters end as somebody asked: what an operator was told is so, two who deal with one letter come to one end, and no letter is dealt
//! with by nobody.

use std::collections::HashMap;

use uuid::Uuid;

use super::Finding;
use crate::{
    facts::{Facts, Job, Letter},
    ledger::{Act, Answer, Deed},
    workload::letters::REASON,
};

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("letters", "dead letters end as an operator asked, and as he was told");
    let mut asked: HashMap<Uuid, Vec<&Act>> = HashMap::new();
    for act in &facts.acts {
        if let Some(letter) = act.what.letter() {
            asked.entry(letter).or_default().push(act);
        }
    }
    for letter in &facts.letters {
        let acts = asked.remove(&letter.id).unwrap_or_default();
        finding.holds(!letter.resolved || is_as_asked(facts, letter, &acts) || is_restarted(facts, letter), || {
            format!("letter {} ended as {:?} ({:?}), which nobody asked for", letter.id, letter.requeued_job_id, letter.resolution)
        });
        for act in acts {
            if let Some(wrong) = act.answer.as_ref().and_then(|answer| refuted(facts, letter, act, answer)) {
                finding.violated(format!("letter {}: an operator who asked for {:?} {wrong}", letter.id, act.what));
            }
        }
    }
    finding.violations.extend(asked.keys().map(|letter| format!("letter {letter} was there, and is not any more")));
    finding
}

/// Whether somebody had asked for what became of a letter that was dealt with.
fn is_as_asked(facts: &Facts, letter: &Letter, acts: &[&Act]) -> bool {
    let made = letter.requeued_job_id.map(|id| facts.job(id));
    acts.iter().any(|act| match (&act.what, made) {
        (Deed::Requeue(_, program), Some(Some(job))) => job.key() == Some(&program.key) && is_same(facts, letter, job),
        (Deed::Repeat(_), Some(Some(job))) => job.args == letter.payload && is_same(facts, letter, job),
        (Deed::Discard(_), None) => letter.resolution.as_deref() == Some(&format!("discarded: {REASON}")),
        _ => false,
    })
}

/// Whether somebody had asked for the restart that a letter was dealt with by.
fn is_restarted(facts: &Facts, letter: &Letter) -> bool {
    let made = letter.requeued_job_id.and_then(|id| facts.job(id));
    facts.acts.iter().any(|act| match (&act.what, made) {
        (Deed::Restart(job, from), Some(made)) => {
            let words = format!("restarted from step {from}");
            let is_its = letter.job_id == Some(*job) && letter.resolution.as_deref() == Some(words.as_str());
            is_its && made.args == letter.payload && is_same(facts, letter, made)
        }
        _ => false,
    })
}

/// Whether a job is what the letter's was, but for its arguments.
fn is_same(facts: &Facts, letter: &Letter, job: &Job) -> bool {
    let dead = letter.job_id.and_then(|id| facts.job(id));
    dead.is_some_and(|dead| {
        (&dead.kind, &dead.unique_key, &dead.limit_key, dead.priority) == (&job.kind, &job.unique_key, &job.limit_key, job.priority)
    })
}

/// What is not as the answer said; none when all is.
fn refuted(facts: &Facts, letter: &Letter, act: &Act, answer: &Answer) -> Option<String> {
    let is_so = match answer {
        Answer::Requeued(job) => letter.requeued_job_id == Some(*job),
        Answer::Discarded => letter.resolved && letter.requeued_job_id.is_none(),
        Answer::Resolved => letter.resolved,
        Answer::HeldBy(holder) => {
            let dead = letter.job_id.and_then(|id| facts.job(id));
            let of_dead = dead.and_then(|dead| Some((dead.kind.as_str(), dead.unique_key.as_deref()?)));
            let time = (act.asked_us, act.answered_us.unwrap_or(act.asked_us));
            letter.job_id != Some(*holder)
                && of_dead.zip(facts.job(*holder)).is_some_and(|((kind, key), job)| facts.had_key(job, kind, key, time.0, time.1))
        }
        Answer::Changed(_) | Answer::Already(_) | Answer::Made(_) | Answer::Words(_) => false,
    };
    (!is_so).then(|| format!("was told {answer:?}, and its end is {:?} ({:?})", letter.requeued_job_id, letter.resolution))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        checkers::made::{add_job, program},
        program::Program,
    };

    /// The letter of job 1, which ended so, with this job in its place.
    fn letter(resolution: Option<String>, requeued_job_id: Option<i64>) -> Letter {
        Letter {
            id: Uuid::nil(),
            job_id: Some(1),
            category: Some("validation".into()),
            error_message: Some("a word".into()),
            payload: json!({ "key": "dead" }),
            resolved: resolution.is_some(),
            resolved_by: Some("robot".into()),
            resolution,
            requeued_job_id,
        }
    }

    /// How many findings there are when job 1 of a unique key died, and its letter, which ended so, was asked for these and told so.
    fn wrong(ended: Option<Answer>, asked: Vec<(Deed, Answer)>) -> usize {
        let mut facts = Facts::default();
        let of_key = |key: &str| Program { unique: Some("key".into()), ..program(key) };
        add_job(&mut facts, 1, &of_key("dead"));
        add_job(&mut facts, 2, &of_key("again"));
        add_job(&mut facts, 3, &of_key("dead"));
        add_job(&mut facts, 4, &program("of no key"));
        let how = |end: &Answer| if *end == Answer::Discarded { format!("discarded: {REASON}") } else { "requeued".into() };
        let resolution = ended.as_ref().map(how);
        facts.letters.push(letter(resolution, ended.and_then(|end| if let Answer::Requeued(job) = end { Some(job) } else { None })));
        let act = |(what, answer)| Act { asked_us: 0, answered_us: Some(1), what, answer: Some(answer) };
        facts.acts = asked.into_iter().map(act).collect();
        check(&facts).violations.len()
    }

    #[test]
    fn a_letter_ends_as_one_of_those_asked_who_dealt_with_it() {
        let requeue = || Deed::Requeue(Uuid::nil(), program("again"));
        let (repeat, discard) = (|| Deed::Repeat(Uuid::nil()), || Deed::Discard(Uuid::nil()));
        assert_eq!(wrong(None, vec![]), 0);
        assert_eq!(wrong(Some(Answer::Requeued(2)), vec![(requeue(), Answer::Requeued(2)), (discard(), Answer::Resolved)]), 0);
        assert_eq!(wrong(Some(Answer::Requeued(3)), vec![(repeat(), Answer::Requeued(3))]), 0);
        assert_eq!(wrong(Some(Answer::Discarded), vec![(discard(), Answer::Discarded), (repeat(), Answer::Resolved)]), 0);
        assert_eq!(wrong(None, vec![(repeat(), Answer::HeldBy(3))]), 0);
        assert_eq!(wrong(Some(Answer::Requeued(2)), vec![]), 1, "nobody asked");
        assert_eq!(
            wrong(Some(Answer::Requeued(2)), vec![(repeat(), Answer::Requeued(2))]),
            1,
            "with other arguments, which nobody asked for"
        );
        assert_eq!(wrong(Some(Answer::Discarded), vec![(requeue(), Answer::Resolved)]), 1, "put away, which nobody asked for");
        assert_eq!(wrong(Some(Answer::Requeued(2)), vec![(requeue(), Answer::Requeued(2)), (requeue(), Answer::Requeued(4))]), 1, "twice");
        assert_eq!(wrong(Some(Answer::Requeued(2)), vec![(requeue(), Answer::Requeued(2)), (discard(), Answer::Discarded)]), 1, "both");
        assert_eq!(wrong(None, vec![(requeue(), Answer::Requeued(2))]), 1, "the answer is lost");
        assert_eq!(wrong(None, vec![(repeat(), Answer::HeldBy(4))]), 1, "it has another key");
        assert_eq!(wrong(None, vec![(repeat(), Answer::HeldBy(1))]), 1, "the dead have none");
        assert_eq!(wrong(None, vec![(discard(), Answer::Words("no".into()))]), 1);
    }

    #[test]
    fn a_letter_of_a_workflow_that_was_restarted_says_from_where() {
        let restarted = |resolution: &str, asked: Vec<(i64, i32)>| {
            let mut facts = Facts::default();
            add_job(&mut facts, 1, &program("dead"));
            add_job(&mut facts, 2, &program("dead"));
            facts.letters.push(letter(Some(resolution.into()), Some(2)));
            let act = |(job, from)| Act { asked_us: 0, answered_us: None, what: Deed::Restart(job, from), answer: None };
            facts.acts = asked.into_iter().map(act).collect();
            check(&facts).violations.len()
        };
        assert_eq!(restarted("restarted from step 2", vec![(1, 3), (1, 2)]), 0);
        assert_eq!(restarted("restarted from step 2", vec![(1, 3), (2, 2)]), 1, "nobody asked for that");
        assert_eq!(restarted("requeued", vec![(1, 2)]), 1);
    }

    #[test]
    fn a_letter_that_an_operator_saw_stays() {
        let answer = Some(Answer::Resolved);
        let acts = vec![Act { asked_us: 0, answered_us: Some(1), what: Deed::Discard(Uuid::nil()), answer }];
        assert_eq!(check(&Facts { acts, ..Facts::default() }).violations.len(), 1);
    }
}
