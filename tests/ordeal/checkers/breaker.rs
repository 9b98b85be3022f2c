//! While calls are held nothing begins but probes: those that a breaker lets go, one at a time and when it is due, and none while an
//! operator holds it.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Finding, due};
use crate::{
    facts::{Facts, Switch},
    ledger::{Deed, Held},
    program::Played,
    witness::What,
};

/// What two clocks of one machine may differ by, in microseconds.
const TOLERANCE_US: i64 = 60_000;

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("breaker", "while a breaker is open nothing begins but one probe at a time, when it is due");
    let came = due::when_attempts_came(facts, TOLERANCE_US);
    probes(facts, &mut finding);
    barred(facts, &came, &mut finding);
    due::pauses(facts, &came, |held| *held == Held::Breaker, &mut finding);
    answers(facts, &mut finding);
    finding
}

/// Of each breaker a probe goes when it is open and nobody holds it, and no sooner than it may: when the one before was told of.
fn probes(facts: &Facts, finding: &mut Finding) {
    let systems: BTreeSet<&str> = facts.trail.switches.iter().map(|switch| switch.system.as_str()).collect();
    for system in systems {
        let mut before: Option<&Switch> = None;
        for switch in facts.trail.switches.iter().filter(|switch| switch.system == system) {
            if let Some((job, attempt)) = switch.probe().filter(|probe| before.and_then(Switch::probe) != Some(*probe)) {
                let may_go = before.is_some_and(|before| before.state == "open" && before.held.is_none());
                finding.holds(may_go, || format!("attempt {attempt} of job {job} went as a probe of {system}, which was {before:?}"));
                let (at, due) = (switch.at, switch.probe_at);
                finding.holds(due.is_some_and(|due| due <= at), || {
                    format!("attempt {attempt} of job {job} went as a probe of {system} at {at}, and might at {due:?}")
                });
            }
            before = Some(switch);
        }
    }
}

/// What came when everybody could see that calls are held begins as a probe, or when they are not any more.
fn barred(facts: &Facts, came: &HashMap<(i64, i32), i64>, finding: &mut Finding) {
    let probes: HashSet<(i64, i32)> = facts.trail.of_programs().filter_map(Switch::probe).collect();
    let is_calling = |program: &str| facts.programs.get(program).is_some_and(|program| program.played == Played::Calling);
    let begun = facts.words.iter().filter(|word| matches!(word.what, What::Started(_)) && is_calling(&word.program));
    let begun: Vec<((i64, i32), i64)> = begun.map(|word| ((word.job, word.attempt), word.at_us)).collect();
    for (from, to) in facts.barred() {
        let is_early = |(attempt, at_us): &&((i64, i32), i64)| {
            *at_us < to - TOLERANCE_US && !probes.contains(attempt) && came.get(attempt).is_some_and(|came| *came > from)
        };
        let early: Vec<(i64, i32)> = begun.iter().filter(is_early).map(|(attempt, _)| *attempt).take(5).collect();
        finding.holds(early.is_empty(), || format!("attempts {early:?} came when calls were held, and began before they were let go"));
    }
}

/// What operators were told has been done meanwhile.
fn answers(facts: &Facts, finding: &mut Finding) {
    for act in &facts.acts {
        let held = match &act.what {
            Deed::Hold(Held::Breaker, _) => Some("open"),
            Deed::Close => Some("closed"),
            Deed::Free(Held::Breaker) => None,
            _ => continue,
        };
        let Some(answered_us) = act.answered_us else { continue };
        let meanwhile = act.asked_us - TOLERANCE_US..answered_us + TOLERANCE_US;
        let is_it = |switch: &Switch| {
            let at_us = facts.by_the_clock_of_all(switch.at);
            switch.held.as_deref() == held && at_us.is_none_or(|at_us| meanwhile.contains(&at_us))
        };
        finding.holds(facts.trail.of_programs().any(is_it), || {
            format!("an operator was told that the breaker is held at {held:?}, which its trail does not have")
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checkers::made::{add_job, ask, attempt, life, program, switch, wall, word},
        facts::{Attempt, Trail},
        ledger::{Act, Answer, Look},
        program::Program,
        witness::Word,
    };

    fn violations(switches: Vec<Switch>) -> usize {
        let mut finding = Finding::new("breaker", "");
        probes(&Facts { trail: Trail { switches, looks: Vec::new() }, ..Facts::default() }, &mut finding);
        finding.violations.len()
    }

    #[test]
    fn a_probe_goes_when_its_breaker_is_open_and_it_is_due() {
        let of = |ms, attempt| Switch { probe_attempt: Some(attempt), ..switch(ms, "half_open") };
        assert_eq!(violations(vec![switch(100, "open"), of(300, 1), switch(400, "open"), of(600, 2), switch(700, "closed")]), 0);
        assert_eq!(violations(vec![switch(100, "open"), of(300, 1), of(310, 2)]), 1, "two at once");
        assert_eq!(violations(vec![switch(100, "closed"), of(300, 1)]), 1, "nobody was to find out");
        let early = Switch { probe_at: Some(wall(301)), ..of(300, 1) };
        assert_eq!(violations(vec![switch(100, "open"), early]), 1);
        let held = |switch: Switch| Switch { held: Some("open".into()), ..switch };
        assert_eq!(violations(vec![held(switch(100, "open")), of(300, 1)]), 1, "an operator holds it");
        assert_eq!(violations(vec![switch(100, "open"), of(300, 1), held(of(400, 1)), switch(500, "open")]), 0, "it was on its way");
        let another = Switch { system: "another".into(), ..of(300, 1) };
        assert_eq!(violations(vec![switch(100, "open"), another]), 1, "of another system");
    }

    /// A breaker that was open from 100 ms to 900 ms, which was seen at 150 ms and let a probe go at 300 ms; and job 1, which was asked
    /// for then, failed before that, if at all, and began so.
    fn facts(asked_ms: i64, failed_ms: Option<i64>, began_ms: i64) -> Facts {
        let switches = vec![switch(100, "open"), switch(300, "half_open"), switch(900, "closed")];
        let trail = Trail { switches, looks: vec![Look { at_us: 150_000, last: 100 }] };
        let mut facts = Facts { trail, lives: vec![life(0, 1, "started")], ..Facts::default() };
        let calling = Program { played: Played::Calling, ..program("p") };
        add_job(&mut facts, 1, &calling);
        ask(&mut facts, asked_ms, &[(&calling, Some(1))]);
        // Its first attempt is the probe.
        let number = if failed_ms.is_some() { 2 } else { 3 };
        let failed = failed_ms.map(|ms| Attempt { finished_at: wall(ms), ..attempt(1, 1, "failed") });
        facts.attempts.insert(1, failed.into_iter().collect());
        facts.words.push(Word { attempt: number, ..word(began_ms, 1, 1, "p", What::Started(0)) });
        facts
    }

    fn begun_early(facts: &Facts) -> usize {
        let mut finding = Finding::new("breaker", "");
        barred(facts, &due::when_attempts_came(facts, TOLERANCE_US), &mut finding);
        assert_eq!(finding.looked_at, 1);
        finding.violations.len()
    }

    #[test]
    fn what_comes_while_calls_are_held_waits_until_they_are_let_go() {
        assert_eq!(begun_early(&facts(200, None, 500)), 1);
        assert_eq!(begun_early(&facts(200, None, 950)), 0);
        assert_eq!(begun_early(&facts(120, None, 500)), 0, "a worker may have had it in hand");
        assert_eq!(begun_early(&facts(20, Some(400), 500)), 1, "its retry came then");
        assert_eq!(begun_early(&facts(20, Some(140), 500)), 0);
        let mut probe = facts(200, None, 500);
        probe.words[0].attempt = 1;
        assert_eq!(begun_early(&probe), 0);
        let mut other = facts(200, None, 500);
        other.programs.insert("p".into(), program("p"));
        assert_eq!(begun_early(&other), 0, "it calls nobody");
    }

    #[test]
    fn what_an_operator_was_told_is_in_the_trail() {
        let told = |what: Deed, asked_ms: i64| {
            let held = Switch { held: Some("open".into()), ..switch(500, "closed") };
            let trail = Trail { switches: vec![held, switch(800, "open")], looks: Vec::new() };
            let answer = Some(Answer::Words("held".into()));
            let act = Act { asked_us: asked_ms * 1000, answered_us: Some(asked_ms * 1000 + 100_000), what, answer };
            let mut finding = Finding::new("breaker", "");
            answers(&Facts { trail, acts: vec![act], lives: vec![life(0, 1, "started")], ..Facts::default() }, &mut finding);
            finding.violations.len()
        };
        let hold = || Deed::Hold(Held::Breaker, None);
        assert_eq!((told(hold(), 450), told(hold(), 100), told(Deed::Close, 450)), (0, 1, 1));
        assert_eq!((told(Deed::Free(Held::Breaker), 750), told(Deed::Free(Held::Breaker), 450)), (0, 1));
    }

    #[test]
    fn while_an_operator_holds_it_open_nothing_that_comes_begins() {
        let held = |began_ms: i64| {
            let act = |ms: i64, what, is_answered: bool| {
                let answer = is_answered.then(|| Answer::Words("held".into()));
                Act { asked_us: ms * 1000, answered_us: is_answered.then_some(ms * 1000), what, answer }
            };
            let acts = vec![act(1000, Deed::Hold(Held::Breaker, None), true), act(2000, Deed::Free(Held::Breaker), false)];
            let facts = Facts { acts, ..facts(1100, None, began_ms) };
            check(&facts).violations.iter().filter(|words| words.contains("their breaker")).count()
        };
        assert_eq!((held(1500), held(2100)), (1, 0));
    }
}
