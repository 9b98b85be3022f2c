//! A schedule that operators change comes as they were told: by the line that is in force, in no pause, and by hand once each time.
//!
//! All times are by the database's clock, so that no two clocks are compared.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use engine::Job as _;

use super::Finding;
use crate::{
    facts::{Facts, Occurrence},
    kinds::Tick,
    ledger::{Act, Answer, Deed, Seen, Turn},
    process::child::EDITED,
    workload::schedules::reason,
};

/// A change reads the clock more than once.
const MOMENT: TimeDelta = TimeDelta::milliseconds(1);
/// When schedulers are stopped they have dealt with all that came so long before.
const REST: TimeDelta = TimeDelta::seconds(3);

/// A time in which it is certain how the schedule was: from an answer to what was asked next.
struct Span {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    /// What came before this is not fired in it.
    counts_from: DateTime<Utc>,
    /// What came up to here had been dealt with.
    done_to: DateTime<Utc>,
    /// How many seconds there are between two occurrences; none in a pause.
    every: Option<i64>,
}

impl Span {
    fn has(&self, at: DateTime<Utc>) -> bool {
        self.from < at && at < self.to
    }

    fn comes_at(&self, at: DateTime<Utc>) -> bool {
        at.timestamp_subsec_nanos() == 0 && self.every.is_some_and(|every| at.timestamp() % every == 0)
    }
}

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("schedules", "a schedule that operators change comes as they were told");
    let of_schedule = facts.occurrences.iter().filter(|occurrence| occurrence.schedule == EDITED.name);
    let (manual, came): (Vec<&Occurrence>, Vec<&Occurrence>) = of_schedule.partition(|occurrence| occurrence.how == "manual");
    by_hand(facts, &manual, &mut finding);
    for Occurrence { occurrence: at, fired_at, .. } in &came {
        finding.holds(fired_at >= at, || format!("what comes at {at} was fired at {fired_at}"));
    }
    let Some(first) = came.first() else {
        finding.violated("it never came by itself".into());
        return finding;
    };
    for span in spans(facts, first.occurrence - TimeDelta::seconds(1), &came, &mut finding) {
        judge(&span, &came, &mut finding);
    }
    finding
}

/// The spans of a run, of which the first is the program's. An answer that was lost leaves it open how the schedule is, until another is
/// told.
fn spans(facts: &Facts, first: DateTime<Utc>, came: &[&Occurrence], finding: &mut Finding) -> Vec<Span> {
    let (mut spans, mut line, mut is_paused) = (Vec::new(), 1, false);
    let (mut known, mut asked, mut is_lost) = (Some((first, first)), first, false);
    for (act, turn, seen) in facts.acts.iter().filter_map(change) {
        let Some(answer) = &act.answer else {
            is_lost = known.is_none();
            if let Some((from, counts_from)) = known.take() {
                asked = seen.at;
                let (done_to, every) = (seen.done_to.unwrap_or(from), (!is_paused).then_some(line));
                spans.push(Span { from, to: seen.at, counts_from, done_to, every });
            }
            continue;
        };
        let since = match answer {
            Answer::Changed(since) => Some(*since),
            Answer::Already(since) if is_lost => Some(*since),
            _ => None,
        };
        finding.holds(since.is_some(), || format!("an operator who asked for {turn:?} was told {answer:?}"));
        match turn {
            _ if since.is_none() => (),
            Turn::Pause => is_paused = true,
            Turn::Resume => is_paused = false,
            Turn::Every(seconds) => line = seconds,
            Turn::Run(_) => (),
        }
        // One whose answer was lost may have been done: then it counts from there.
        known = since.map(|since| (since, if is_lost { asked } else { since - MOMENT }));
    }
    if let (Some((from, counts_from)), Some((_, ended))) = (known, facts.observed.cron) {
        let last = came.last().map_or(from, |last| last.occurrence);
        let (done_to, every) = (last.max(ended - REST), (!is_paused).then_some(line));
        spans.push(Span { from, to: DateTime::<Utc>::MAX_UTC, counts_from, done_to, every });
    }
    spans
}

fn change(act: &Act) -> Option<(&Act, Turn, Seen)> {
    match act.what {
        Deed::Schedule(turn @ (Turn::Pause | Turn::Resume | Turn::Every(_)), seen) => Some((act, turn, seen)),
        _ => None,
    }
}

/// What comes in a span comes by its line, and is left out by nobody; what is fired in it came after it had begun.
fn judge(span: &Span, came: &[&Occurrence], finding: &mut Finding) {
    let Span { from, counts_from, every, .. } = span;
    let times: HashSet<i64> = came.iter().map(|occurrence| occurrence.occurrence.timestamp()).collect();
    let seconds = span.from.timestamp() + 1..=span.done_to.timestamp();
    let must: Vec<i64> = seconds.filter(|second| every.is_some_and(|every| second % every == 0)).collect();
    finding.looked_at += 1 + must.len();
    let left_out: Vec<&i64> = must.iter().filter(|second| !times.contains(*second)).take(5).collect();
    if !left_out.is_empty() {
        finding.violated(format!("from {from} on it came every {every:?} seconds, and left out {left_out:?}"));
    }
    for Occurrence { occurrence: at, fired_at, .. } in came {
        if span.has(*at) && !span.comes_at(*at) {
            finding.violated(format!("from {from} on it came every {every:?} seconds, and also at {at}"));
        }
        if span.has(*fired_at) && (every.is_none() || at <= counts_from) {
            finding.violated(format!("from {from} on it came every {every:?} seconds, and at {fired_at} what comes at {at} was fired"));
        }
    }
}

/// What an operator ran by hand made the job that he was told of; where his answer was lost, one at most.
fn by_hand(facts: &Facts, manual: &[&Occurrence], finding: &mut Finding) {
    let mut made: HashMap<&str, Vec<Option<i64>>> = HashMap::new();
    for occurrence in manual {
        made.entry(occurrence.note.as_deref().unwrap_or_default()).or_default().push(occurrence.job_id);
    }
    let mut asked: HashSet<String> = HashSet::new();
    for act in &facts.acts {
        let Deed::Schedule(Turn::Run(number), _) = act.what else { continue };
        let why = reason(number);
        let jobs = made.get(why.as_str()).map_or(&[][..], Vec::as_slice);
        let is_so = match &act.answer {
            None => jobs.len() <= 1,
            Some(Answer::Made(job)) => jobs == [Some(*job)] && facts.job(*job).is_some_and(|job| job.kind == Tick::KIND),
            Some(_) => jobs.is_empty(),
        };
        finding.holds(is_so, || format!("run {why} it made {jobs:?}, and an operator was told {:?}", act.answer));
        asked.insert(why);
    }
    let unasked = made.keys().filter(|why| !asked.contains(**why));
    finding.violations.extend(unasked.map(|why| format!("it was run {why:?}, which nobody asked for")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::made::{add_job, program, wall};

    fn came(at_ms: i64, fired_ms: i64) -> Occurrence {
        let (schedule, how) = (EDITED.name.into(), "cron".into());
        Occurrence { schedule, occurrence: wall(at_ms), fired_at: wall(fired_ms), job_id: Some(at_ms), how, note: None }
    }

    /// What was asked when it had come so far, and the answer.
    fn acts(turn: Turn, seen_ms: i64, done_ms: i64, answer: Option<Answer>) -> Vec<Act> {
        let what = Deed::Schedule(turn, Seen { at: wall(seen_ms), done_to: Some(wall(done_ms)) });
        let intent = Act { asked_us: 0, answered_us: None, what, answer: None };
        let answered = answer.map(|answer| Act { answered_us: Some(1), answer: Some(answer), ..intent.clone() });
        std::iter::once(intent).chain(answered).collect()
    }

    /// It came each second to the tenth, then each third to the eighteenth, and again from the twenty-seventh on, after a pause.
    fn changed() -> Facts {
        let of = |turn, seen_ms, done_ms| acts(turn, seen_ms, done_ms, Some(Answer::Changed(wall(seen_ms + 100))));
        let changes = [of(Turn::Every(3), 10_100, 10_000), of(Turn::Pause, 19_400, 18_000), of(Turn::Resume, 25_100, 18_000)];
        let mut facts = Facts { acts: changes.concat(), ..Facts::default() };
        facts.observed.cron = Some((wall(0), wall(31_000)));
        facts.occurrences = (1..=10).chain([12, 15, 18, 27, 30]).map(|second| came(second * 1000, second * 1000 + 50)).collect();
        facts
    }

    fn wrong(facts: &Facts) -> usize {
        check(facts).violations.len()
    }

    fn with(occurrence: Occurrence) -> usize {
        let mut facts = changed();
        facts.occurrences.push(occurrence);
        facts.occurrences.sort_by_key(|occurrence| occurrence.occurrence);
        wrong(&facts)
    }

    fn without(second: i64) -> usize {
        let mut facts = changed();
        facts.occurrences.retain(|occurrence| occurrence.occurrence != wall(second * 1000));
        wrong(&facts)
    }

    #[test]
    fn what_comes_comes_by_the_line_that_is_in_force() {
        assert_eq!(wrong(&changed()), 0);
        assert_eq!((without(5), without(15), without(27)), (1, 1, 1));
        assert_eq!(without(30), 0, "schedulers were stopped before they came to it");
        assert_eq!(with(came(13_000, 13_100)), 1, "by the line of before");
        assert_eq!(with(came(10_000, 10_400)), 1, "what came before the change, after it");
        assert_eq!(with(came(33_000, 32_900)), 1, "before its time");
        assert_eq!(wrong(&Facts::default()), 1, "never");
    }

    #[test]
    fn nothing_comes_in_a_pause_and_nothing_of_it_afterwards() {
        assert_eq!(with(came(21_000, 21_100)), 2);
        assert_eq!(with(came(24_000, 25_500)), 2, "it is made good");
        assert_eq!(with(came(18_000, 19_600)), 1, "it came before, and was fired in it");
    }

    #[test]
    fn while_an_answer_is_lost_it_is_open_how_it_is() {
        let mut facts = changed();
        let lost = acts(Turn::Pause, 30_500, 30_000, None);
        let again = acts(Turn::Pause, 33_500, 33_000, Some(Answer::Already(wall(34_000))));
        facts.acts.extend([lost, again].concat());
        facts.occurrences.push(came(33_000, 33_100));
        assert_eq!(wrong(&facts), 0);
        facts.occurrences.push(came(36_000, 36_100));
        assert_eq!(wrong(&facts), 2, "it is paused by then");
        let mut already = changed();
        already.acts.extend(acts(Turn::Resume, 30_500, 30_000, Some(Answer::Already(wall(30_600)))));
        assert_eq!(wrong(&already), 1, "nobody had asked for that");
    }

    #[test]
    fn a_run_by_hand_makes_the_job_that_was_told_of() {
        let judged = |rows: &[(u32, i64)], answer: Option<Answer>| {
            let mut facts = changed();
            facts.acts.extend(acts(Turn::Run(1), 30_500, 30_000, answer));
            for (number, job) in rows {
                let (how, note) = ("manual".into(), Some(reason(*number)));
                facts.occurrences.push(Occurrence { job_id: Some(*job), how, note, ..came(30_600, 30_600) });
            }
            add_job(&mut facts, 7, &program("tick"));
            facts.jobs[0].kind = Tick::KIND.into();
            wrong(&facts)
        };
        assert_eq!(judged(&[(1, 7)], Some(Answer::Made(7))), 0);
        assert_eq!((judged(&[(1, 7)], None), judged(&[], None)), (0, 0), "the answer is lost");
        assert_eq!(judged(&[], Some(Answer::Words("refused".into()))), 0);
        assert_eq!(judged(&[], Some(Answer::Made(7))), 1, "it made none");
        assert_eq!(judged(&[(1, 7), (1, 8)], None), 1, "it made two");
        assert_eq!(judged(&[(1, 9)], Some(Answer::Made(9))), 1, "which is not there");
        assert_eq!(judged(&[(2, 7)], None), 1, "nobody asked for it");
    }
}
