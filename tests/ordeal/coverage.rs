//! What a run has touched: places between statements, and ways that a job can go.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use engine::failpoint::STATEMENTS;

use crate::{
    facts::{Facts, Pause},
    features::Feature,
    ledger::{Ack, Act, Answer, Deed, Held, Turn},
    model::{End, foresee},
    process::place,
    program::Program,
};

/// The statements that every series of runs reaches.
const PLAYED: [&str; 39] = [
    "attempt/complete",
    "attempt/settle",
    "cancel_request/ask",
    "cancel_request/remove",
    "claim/assert",
    "claim/assert_lock",
    "claim/lock",
    "claim/orphans",
    "claim/rescue",
    "claim/rescue commit",
    "claim/strays",
    "claim/take",
    "claim/take_alone",
    "claim/take_limited",
    "claim/take_limited commit",
    "compensation/add",
    "compensation/done",
    "dead_letter/requeue",
    "event/emit",
    "event/next",
    "job/enqueue",
    "job/enqueue_many",
    "leader/assert",
    "leader/lead",
    "note/log",
    "note/progress",
    "run/commit",
    "run/complete commit",
    "run/next",
    "schedule/fire commit",
    "scheduled/promote",
    "step/keep",
    "step/load",
    "step/sleep",
    "step/wait",
    "worker/declare_dead",
    "worker/register",
    "worker/renew",
    "worker/sleep",
];

/// The way of a worker that is partitioned; only runs with network namespaces have it.
const CUT_OFF: &str = "cut off from the server past its lease";

/// What was touched, by one run or by several.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    /// The places that were reached.
    pub places: BTreeSet<String>,
    /// How often each way was gone.
    pub ways: BTreeMap<String, usize>,
}

/// The way of a request whose answer was lost after its commit.
const ASKED_AGAIN: &str = "made over HTTP, asked for again and known";

impl Coverage {
    /// What a run has touched.
    pub fn of(facts: &Facts) -> Self {
        Self { places: facts.places.clone(), ways: ways(facts) }
    }

    /// Adds what another run has touched.
    pub fn add(&mut self, other: &Self) {
        self.places.extend(other.places.iter().cloned());
        for (way, times) in &other.ways {
            *self.ways.entry(way.clone()).or_default() += times;
        }
    }

    /// The places and ways that nothing has touched.
    pub fn missing(&self) -> Vec<String> {
        let all = STATEMENTS.iter().flat_map(|statement| [place::name(statement, false), place::name(statement, true)]);
        let places = all.filter(|name| !self.places.contains(name)).map(|name| format!("place: {name}"));
        let ways = self.ways.iter().filter(|(_, times)| **times == 0).map(|(way, _)| format!("way: {way}"));
        places.chain(ways).collect()
    }

    /// What a short series of runs must have touched and has not. What happens by chance alone is left to long ones, and a
    /// feature of the engine that no program uses yet is in the table as missing.
    pub fn missing_in_short(&self) -> Vec<String> {
        let must = |missing: &String| match missing.strip_prefix("place: ") {
            Some(place) => PLAYED.iter().any(|statement| place.strip_suffix(" before").or(place.strip_suffix(" after")) == Some(statement)),
            None => !["released", "lost while alone", "cut off from the server for less than its lease", ASKED_AGAIN]
                .contains(&missing.trim_start_matches("way: ")),
        };
        self.missing().into_iter().filter(must).collect()
    }

    /// The table of both.
    pub fn table(&self) -> String {
        let mut table = format!("places reached: {} of {}\n", self.places.len(), STATEMENTS.len() * 2);
        for (way, times) in &self.ways {
            writeln!(table, "{times:>9}  {way}").expect("a string takes text");
        }
        if !self.ways.contains_key(CUT_OFF) {
            table += "   ABSENT  network namespaces: no worker could be partitioned\n";
        }
        for missing in self.missing() {
            writeln!(table, "  MISSING  {missing}").expect("a string takes text");
        }
        table
    }
}

fn ways(facts: &Facts) -> BTreeMap<String, usize> {
    let attempts = || facts.attempts.values().flatten();
    let ended = |outcome: &str| attempts().filter(|attempt| attempt.outcome == outcome).count();
    let ran = |job: i64, number: i32| facts.words.iter().any(|word| word.job == job && word.attempt == number);
    let cancelled: Vec<_> = attempts().filter(|attempt| attempt.outcome == "cancelled").collect();
    let running = cancelled.iter().filter(|attempt| ran(attempt.job_id, attempt.attempt)).count();
    let suspects = attempts().filter(|attempt| attempt.outcome == "lost" && attempt.category.as_deref() == Some("poison")).count();
    let poison = attempts().filter(|attempt| attempt.outcome == "dead" && attempt.category.as_deref() == Some("poison")).count();
    let inside = facts.effects.values().flatten().filter(|effect| effect.last).count();
    let own_word = facts.jobs.iter().filter(|job| {
        let program = job.key().and_then(|key| facts.programs.get(key));
        program.is_some_and(|program| foresee(program).end == End::Cancelled)
            && facts.end_of(job.id).is_some_and(|end| end.outcome == "cancelled")
    });
    let held = facts.intents.iter().filter(|intent| intent.keyed && !facts.by_key.contains_key(&intent.programs[0].key)).count();
    let mut ways = BTreeMap::from([
        ("completed", ended("completed")),
        ("completed in its own commit", inside),
        ("failed and tried again", ended("failed")),
        ("dead", ended("dead")),
        ("snoozed", ended("snoozed")),
        ("waited as a workflow", ended("waiting")),
        ("emitted an event", facts.events.values().sum::<i64>() as usize),
        ("released", ended("released")),
        ("lost", ended("lost")),
        ("lost while alone", suspects),
        ("dead as poison", poison),
        ("cancelled for its deadline", cancelled.iter().filter(|attempt| attempt.category.as_deref() == Some("deadline")).count()),
        ("cancelled while it ran", running),
        ("cancelled before it ran", cancelled.len() - running),
        ("cancelled by its own word", own_word.count()),
        ("requeued", facts.jobs.iter().filter(|job| job.requeued_from.is_some()).count()),
        (ASKED_AGAIN, facts.acks.values().filter(|ack| is_known_again(facts, ack)).count()),
        ("refused for its unique key", held),
        ("not made as a child for its unique key", not_made(facts)),
        ("fired by the clock", facts.occurrences.len()),
        ("webhook became an order", facts.orders.len()),
    ]);
    if facts.apart > 0 {
        let cut: Vec<Pause> = Pause::of(&facts.lives).into_iter().filter(|pause| pause.is_cut).collect();
        let past = cut.iter().filter(|pause| pause.is_past_lease).count();
        ways.extend([(CUT_OFF, past), ("cut off from the server for less than its lease", cut.len() - past)]);
    }
    ways.extend(features(facts).into_iter().map(|(feature, times)| (feature.line().what, times)));
    ways.into_iter().map(|(way, times)| (way.to_owned(), times)).collect()
}

/// Whether a request was sent again and answered with the job that an earlier one had made.
fn is_known_again(facts: &Facts, ack: &Ack) -> bool {
    let own = ack.jobs[0].and_then(|id| facts.job(id)).is_some_and(|job| job.key() == Some(&ack.key));
    ack.over_http && ack.asked_again > 0 && !ack.created && own
}

/// Children of joined workflows that were not made.
fn not_made(facts: &Facts) -> usize {
    let joined = facts.programs.values().filter(|program| {
        Feature::of(program).contains(&Feature::Kin)
            && facts.job_of(&program.key).and_then(|job| facts.end_of(job.id)).is_some_and(|end| end.outcome == "completed")
    });
    joined.flat_map(|program| foresee(program).children).filter(|child| !facts.by_key.contains_key(&child.key)).count()
}

/// How often each feature was used by a program that has ended.
fn features(facts: &Facts) -> BTreeMap<Feature, usize> {
    let mut used: BTreeMap<Feature, usize> = Feature::ALL.iter().map(|feature| (*feature, 0)).collect();
    let mut add = |feature: Feature, times: usize| *used.entry(feature).or_default() += times;
    let has_ended = |program: &Program| facts.job_of(&program.key).is_some_and(|job| facts.end_of(job.id).is_some());
    for program in facts.programs.values().filter(|program| has_ended(program)) {
        for feature in Feature::of(program) {
            add(feature, 1);
        }
    }
    for intent in facts.intents.iter().filter(|intent| !intent.keyed && has_ended(&intent.programs[0])) {
        let way = match (&intent.callback, intent.copied) {
            (Some(_), _) => Feature::Batch,
            (None, true) => Feature::Copy,
            (None, false) => Feature::Bulk,
        };
        add(way, 1);
    }
    add(Feature::Http, facts.acks.values().filter(|ack| ack.over_http && ack.created).count());
    let cancelled = facts.jobs.iter().filter(|job| job.is_batch() && facts.is_cancelled(job.id)).count();
    add(Feature::CancelBatch, cancelled);
    add(Feature::Breaker, facts.trail.closings());
    for feature in facts.acts.iter().filter(|act| act.answered_us.is_some()).filter_map(of_deed) {
        add(feature, 1);
    }
    used
}

/// What an operator used whose deed was answered.
fn of_deed(act: &Act) -> Option<Feature> {
    let is_done = || matches!(act.answer, Some(Answer::Requeued(_) | Answer::Discarded | Answer::Changed(_) | Answer::Made(_)));
    match &act.what {
        Deed::Hold(Held::Key(_), Some(_)) => Some(Feature::PlanHold),
        Deed::Free(Held::Key(_)) => Some(Feature::HoldKey),
        Deed::Free(Held::Kind(_)) => Some(Feature::HoldKind),
        Deed::Hold(Held::Breaker, _) => Some(Feature::HoldBreaker),
        Deed::Close => Some(Feature::CloseBreaker),
        Deed::Repeat(_) => is_done().then_some(Feature::Repeat),
        Deed::Discard(_) => is_done().then_some(Feature::Discard),
        Deed::Requeue(..) => is_done().then_some(Feature::Requeue),
        Deed::Restart(..) => is_done().then_some(Feature::Restart),
        Deed::Edit(_) => Some(Feature::EditPolicy),
        Deed::Schedule(Turn::Every(_), _) => is_done().then_some(Feature::EditSchedule),
        Deed::Schedule(Turn::Pause, _) => is_done().then_some(Feature::PauseSchedule),
        Deed::Schedule(Turn::Run(_), _) => is_done().then_some(Feature::RunSchedule),
        Deed::Cancel(..) | Deed::Hold(..) | Deed::Free(Held::Queue | Held::Breaker) | Deed::Schedule(Turn::Resume, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_whether_any_worker_could_be_partitioned() {
        let of = |ways: &[(&str, usize)]| Coverage {
            ways: ways.iter().map(|(way, times)| ((*way).into(), *times)).collect(),
            ..Coverage::default()
        };
        assert!(of(&[("lost", 1)]).table().contains("ABSENT  network namespaces"));
        assert!(!of(&[(CUT_OFF, 3)]).table().contains("ABSENT"));
        let never = of(&[(CUT_OFF, 0)]);
        assert!(never.missing_in_short().contains(&format!("way: {CUT_OFF}")), "{}", never.table());
    }
}
