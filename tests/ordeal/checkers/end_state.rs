//! The model: every program ends as it must, after as many failures and snoozes as it must.

use super::Finding;
use crate::{
    facts::{Attempt, Facts, Job},
    model::{End, Foreseen},
    program::{Act, Manner, Played, Program, RATE, checksum},
    witness::{What, Word},
};

/// For so long a worker may hold a job that it claimed in time, in microseconds.
const IN_HAND_US: i64 = 2_500_000;
/// For so long at most from its beginning a program keeps files that it uses up, in microseconds, where they compare clocks too.
const FILES_US: i64 = 2_000_000;
/// For so long at most a worker tries to record an end while the server is struck.
const RECORDED_US: i64 = 20_000_000;

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
    let foreseen = facts.foresee(job, program);
    if let Some(act) = facts.cancelled(job.id) {
        let answer = act.words();
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
    if let Some(wrong) = late(facts, job, program) {
        return Some(wrong);
    }
    if is_dropped(end) && program.deadline_ms.is_some() {
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

fn is_dropped(end: &Attempt) -> bool {
    end.outcome == "cancelled" && end.category.as_deref() == Some("deadline")
}

/// What is wrong with how a job's deadline was kept: when it has passed by the time that an attempt comes up, that one does not begin,
/// and nothing is dropped before.
fn late(facts: &Facts, job: &Job, program: &Program) -> Option<String> {
    let Some(deadline) = job.deadline else {
        return program.deadline_ms.map(|ms| format!("it has no deadline, and one in {ms} ms was asked for"));
    };
    let attempts = facts.attempts_of(job.id);
    let began = |attempt: &Attempt| begin_of(facts, attempt).is_some();
    let dropped = attempts.iter().find(|attempt| is_dropped(attempt) && (attempt.finished_at < deadline || began(attempt)));
    // An attempt comes up when its job is made, or when the one before it has ended.
    let came = std::iter::once(job.created_at).chain(attempts.iter().map(|attempt| attempt.finished_at));
    let stale = attempts.iter().zip(came).find(|(attempt, came)| *came > deadline && began(attempt)).map(|(attempt, _)| attempt);
    let deadline_us = facts.by_the_clock_of_all(deadline)?;
    let held = attempts.iter().find(|attempt| {
        begin_of(facts, attempt).is_some_and(|began_us| began_us > deadline_us + IN_HAND_US && facts.was_calm(deadline_us, began_us))
    });
    let wrong = dropped.or(stale).or(held)?;
    Some(format!("attempt {} began at {} and is {}; the deadline is {deadline}", wrong.attempt, wrong.started_at, wrong.outcome))
}

/// When the handler of an attempt began, by the clock of all, or a little later; none where it did not.
fn begin_of(facts: &Facts, attempt: &Attempt) -> Option<i64> {
    let is_its = |word: &&Word| word.job == attempt.job_id && word.attempt == attempt.attempt && matches!(word.what, What::Started(_));
    facts.words.iter().find(is_its).map(|word| word.at_us)
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
    // A worker whose files are used up starts no process, and the job waits.
    let is_unstarted = |attempt: &&Attempt| program.played == Played::Apart && attempt.outcome == "snoozed" && had_no_files(facts, attempt);
    let unstarted = facts.attempts_of(job).iter().filter(is_unstarted).count();
    let (failed, snoozed) = (of("failed") + died, if rated { 0 } else { of("snoozed") - unstarted });
    let wrong = (failed, snoozed) != (foreseen.failed, foreseen.snoozed);
    wrong.then(|| format!("it must fail {} and snooze {} times, and did {failed} and {snoozed} times", foreseen.failed, foreseen.snoozed))
}

/// Whether something used up the files of an attempt's worker about when it ended.
fn had_no_files(facts: &Facts, attempt: &Attempt) -> bool {
    let Some(ended_us) = facts.by_the_clock_of_all(attempt.finished_at) else { return false };
    let uses_up = |word: &&Word| {
        let program = facts.programs.get(&word.program);
        program.is_some_and(|program| program.acts.iter().any(|act| matches!(act, Act::Files(_))))
    };
    let of_worker = |word: &&Word| Some(word.worker) == attempt.worker_id && matches!(word.what, What::Started(_));
    // The end is of the moment at which it was recorded, which waits for a server that is away.
    let late = |word: &Word| (0..RECORDED_US).contains(&(ended_us - word.at_us)) && !facts.was_calm(word.at_us, ended_us);
    facts.words.iter().filter(of_worker).filter(uses_up).any(|word| (-FILES_US..FILES_US).contains(&(ended_us - word.at_us)) || late(word))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::made::{add_job, attempt, life, program, wall, word};

    /// How many findings there are of a job whose deadline is at 1 s, when its attempts began and ended so.
    fn wrong(attempts: &[(i64, i64, &str)]) -> usize {
        made_at(0, attempts)
    }

    /// The same of one that was made then.
    fn made_at(ms: i64, attempts: &[(i64, i64, &str)]) -> usize {
        let mut facts = Facts { lives: vec![life(0, 1, "started")], ..Facts::default() };
        let hurried = Program { deadline_ms: Some(1000), ..program("hurried") };
        add_job(&mut facts, 1, &hurried);
        (facts.jobs[0].created_at, facts.jobs[0].deadline) = (wall(ms), Some(wall(1000)));
        let output = serde_json::json!({ "program": "hurried", "counted": 0, "sum": checksum(&hurried.chaff) });
        let of = |(number, (began, ended, outcome)): (i32, &(i64, i64, &str))| Attempt {
            started_at: wall(*began),
            finished_at: wall(*ended),
            category: (*outcome == "cancelled").then(|| "deadline".into()),
            output: Some(output.clone()),
            ..attempt(1, number, outcome)
        };
        facts.attempts.insert(1, (1..).zip(attempts).map(of).collect());
        let begun = facts.attempts[&1].iter().filter(|attempt| !is_dropped(attempt));
        let ms = |attempt: &Attempt| attempt.started_at.timestamp_millis();
        let begun = begun.map(|attempt| Word { attempt: attempt.attempt, ..word(ms(attempt), 1, 1, "hurried", What::Started(0)) });
        facts.words = begun.collect();
        check(&facts).violations.len()
    }

    #[test]
    fn what_is_of_no_use_any_more_does_not_begin() {
        assert_eq!(wrong(&[(900, 3000, "completed")]), 0);
        assert_eq!(wrong(&[(1500, 1500, "cancelled")]), 0);
        assert_eq!(wrong(&[(900, 950, "lost"), (960, 990, "completed")]), 0);
        assert_eq!(wrong(&[(900, 1200, "lost"), (1300, 1300, "cancelled")]), 0);
        assert_eq!(wrong(&[(900, 900, "cancelled")]), 1, "dropped before its time");
        assert_eq!(wrong(&[(900, 1200, "lost"), (1300, 1400, "completed")]), 1, "it came up when it was of no use");
        assert_eq!(wrong(&[(12_000, 12_100, "completed")]), 1, "no worker holds a job for so long");
    }

    #[test]
    fn what_was_of_no_use_when_it_was_made_never_begins() {
        assert_eq!(made_at(1001, &[(1002, 1002, "cancelled")]), 0);
        assert_eq!(made_at(1001, &[(1002, 1010, "completed")]), 1);
    }
}
