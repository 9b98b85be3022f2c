//! The sequential model: what must be left of a program, whatever happened to those who ran it.

use crate::program::{Act, Blame, Played, Program};

/// How many attempts the policy of a run gives each category, and after how many seconds the next one comes.
pub const POLICY: [(&str, i32, &[i32]); 13] = [
    ("validation", 1, &[0]),
    ("business_rule", 2, &[0]),
    ("rate_limited", 3, &[0]),
    ("upstream", 4, &[0, 1]),
    ("bug", 2, &[0]),
    // What faults of the run make of product jobs: tried again until it is over.
    ("network", 1000, &[0, 1]),
    ("timeout", 1000, &[0, 1]),
    ("conflict", 1000, &[0, 1]),
    ("not_ready", 1000, &[1]),
    ("unknown", 1000, &[0, 1]),
    ("auth", 1000, &[1]),
    ("poison", 1, &[0]),
    ("default", 1000, &[1]),
];

/// The categories of the policy that programs fail with, as [`POLICY`] has them.
pub const OF_PROGRAMS: &[(&str, i32, &[i32])] = POLICY.split_at(4).0;

/// How a program must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Completed; true when its row was committed with it.
    Completed(bool),
    /// Dead, with this category.
    Dead(&'static str),
    /// Cancelled by its own word.
    Cancelled,
    /// Only if somebody cancels it.
    Held,
}

/// What must be left of a program.
#[derive(Debug, Clone, PartialEq)]
pub struct Foreseen<'a> {
    /// Its end.
    pub end: End,
    /// How many attempts failed before, the last one of a dead program included.
    pub failed: usize,
    /// How many asked to run again.
    pub snoozed: usize,
    /// The acts that do something outside.
    pub outside: Vec<usize>,
    /// The acts that wrote a row in a transaction of their own.
    pub inside: Vec<usize>,
    /// The acts that said how far it is.
    pub noted: Vec<usize>,
    /// What undoes it when it dies or is cancelled, in the order of what is undone.
    pub undone: Vec<&'a Program>,
    /// The keys of the events that it emits.
    pub emitted: Vec<&'a str>,
    /// What it enqueued on its way.
    pub children: Vec<&'a Program>,
}

impl Foreseen<'_> {
    /// Before the first act.
    const fn nothing() -> Self {
        Self {
            end: End::Held,
            failed: 0,
            snoozed: 0,
            outside: Vec::new(),
            inside: Vec::new(),
            noted: Vec::new(),
            undone: Vec::new(),
            emitted: Vec::new(),
            children: Vec::new(),
        }
    }
}

/// Runs a program in mind.
pub fn foresee(program: &Program) -> Foreseen<'_> {
    live(program, None)
}

/// Runs a workflow in mind that runs again, and takes over so many acts: they are not done by it.
pub fn foresee_again(program: &Program, taken_over: usize) -> Foreseen<'_> {
    live(program, Some(taken_over))
}

fn live(program: &Program, taken_over: Option<usize>) -> Foreseen<'_> {
    let (mut left, mut used, mut position) = (Foreseen::nothing(), 0, 0);
    for (number, act) in program.acts.iter().enumerate() {
        if act.is_remembered() {
            position += 1;
            if taken_over.is_some_and(|taken_over| position <= taken_over) {
                continue;
            }
            // A workflow's failures count since it last got on.
            used = 0;
        }
        match act {
            Act::Work(_)
            | Act::Block(_)
            | Act::Files(_)
            | Act::Sleep(_)
            | Act::Patch
            | Act::Await(_)
            | Act::Vain(_)
            // What was noted before it is done all the same, should the workflow die.
            | Act::Continue => (),
            Act::Note => left.noted.push(number),
            Act::Undo(undo) => left.undone.push(undo),
            Act::Outside | Act::StepOutside => left.outside.push(number),
            Act::Inside | Act::Step => left.inside.push(number),
            Act::Emit(key) => left.emitted.push(key),
            Act::Child(child) | Act::First(child, _) => left.children.push(child),
            Act::Join(children) | Act::JoinAny(children) => left.children.extend(children),
            Act::Snooze(_) => left.snoozed += 1,
            Act::Stumble if taken_over.is_some() => (),
            Act::Fail(_) | Act::Stumble => {
                let blame = if let Act::Fail(blame) = act { *blame } else { Blame::Validation };
                if let Some(end) = fail(program, &mut left, &mut used, blame.category()) {
                    left.end = end;
                    break;
                }
            }
            // Its worker sees the end of its process, each time that it is tried.
            Act::Die(_) | Act::Panic if program.played == Played::Apart => {
                left.end = loop {
                    if let Some(end) = fail(program, &mut left, &mut used, "bug") {
                        break end;
                    }
                };
                break;
            }
            Act::Panic => {
                if let Some(end) = fail(program, &mut left, &mut used, "bug") {
                    left.end = end;
                    break;
                }
            }
            Act::Cancel => {
                left.end = End::Cancelled;
                break;
            }
            Act::Hold => break,
            Act::Die(_) => {
                left.end = End::Dead("poison");
                break;
            }
            Act::Finish => {
                left.end = End::Completed(false);
                break;
            }
            Act::FinishInside(children) => {
                left.children.extend(children);
                left.end = End::Completed(true);
                break;
            }
        }
    }
    left
}

fn fail(program: &Program, left: &mut Foreseen<'_>, used: &mut usize, category: &'static str) -> Option<End> {
    left.failed += 1;
    *used += 1;
    let most = POLICY.iter().find(|(name, ..)| *name == category).map_or(1, |(_, most, _)| *most as usize);
    let most = program.max_attempts.map_or(most, |cap| most.min(cap as usize));
    (*used >= most).then_some(End::Dead(category))
}

impl Blame {
    /// The category as the policy spells it.
    pub const fn category(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::BusinessRule => "business_rule",
            Self::RateLimited => "rate_limited",
            Self::Upstream => "upstream",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Death, Manner, due};

    fn program(acts: Vec<Act>) -> Program {
        Program {
            key: "p".into(),
            acts,
            unique: None,
            manner: Manner::Yields,
            played: Played::Alone,
            limit: None,
            delay_ms: 0,
            deadline_ms: None,
            priority: 5,
            max_attempts: None,
            chaff: serde_json::Value::Null,
        }
    }

    #[test]
    fn a_program_that_fails_less_often_than_it_may_ends_well() {
        let program = program(vec![Act::Outside, Act::Fail(Blame::Upstream), Act::Panic, Act::Snooze(1), Act::Inside, Act::Finish]);
        // The panic is the second failure, and of those a bug may have two: it is the last.
        assert_eq!((foresee(&program).end, foresee(&program).failed), (End::Dead("bug"), 2));
        let program = Program { acts: vec![Act::Outside, Act::Fail(Blame::Upstream), Act::Snooze(1), Act::Inside, Act::Finish], ..program };
        let left = foresee(&program);
        assert_eq!((left.end, left.failed, left.snoozed), (End::Completed(false), 1, 1));
        assert_eq!((left.outside, left.inside), (vec![0], vec![3]));
    }

    #[test]
    fn a_cap_of_its_own_ends_a_program_sooner() {
        let capped = Program { max_attempts: Some(1), ..program(vec![Act::Fail(Blame::Upstream), Act::Finish]) };
        assert_eq!(foresee(&capped).end, End::Dead("upstream"));
    }

    #[test]
    fn a_workflow_that_gets_on_between_failures_goes_on() {
        let fails = |between| program(vec![Act::Fail(Blame::BusinessRule), between, Act::Fail(Blame::BusinessRule), Act::Finish]);
        assert_eq!(foresee(&fails(Act::Outside)).end, End::Dead("business_rule"));
        assert_eq!((foresee(&fails(Act::Step)).end, foresee(&fails(Act::Step)).failed), (End::Completed(false), 2));
    }

    #[test]
    fn who_ends_a_process_of_its_own_fails_and_is_no_poison() {
        let dies = program(vec![Act::Die(Death::Abort)]);
        assert_eq!((foresee(&dies).end, foresee(&dies).failed), (End::Dead("poison"), 0));
        let apart = Program { played: Played::Apart, ..dies };
        assert_eq!((foresee(&apart).end, foresee(&apart).failed), (End::Dead("bug"), 2));
    }

    #[test]
    fn a_workflow_that_runs_again_does_what_it_has_not_taken_over() {
        let before = [Act::Step, Act::Fail(Blame::BusinessRule), Act::Step, Act::Stumble];
        let stumbles = program([&before[..], &[Act::StepOutside, Act::FinishInside(Vec::new())]].concat());
        let first = foresee(&stumbles);
        assert_eq!((first.end, first.failed, first.inside, first.outside), (End::Dead("validation"), 2, vec![0, 2], vec![]));
        let again = |taken_over| foresee_again(&stumbles, taken_over);
        let left = again(1);
        assert_eq!((left.end, left.failed, left.inside, left.outside), (End::Completed(true), 1, vec![2], vec![4]));
        assert_eq!((again(0).inside, again(2).inside, again(3).outside), (vec![0, 2], vec![], vec![]));
    }

    #[test]
    fn what_was_taken_over_renews_no_budget() {
        let fails = program(vec![Act::Step, Act::Fail(Blame::BusinessRule), Act::Step, Act::Fail(Blame::BusinessRule), Act::Finish]);
        assert_eq!(foresee(&fails).end, End::Completed(false));
        assert_eq!((foresee_again(&fails, 1).end, foresee_again(&fails, 2).end), (End::Completed(false), End::Dead("business_rule")));
    }

    #[test]
    fn stages_begin_after_what_was_counted() {
        let program = program(vec![Act::Outside, Act::Snooze(1), Act::Inside, Act::Panic, Act::Finish]);
        let numbers = |counted| due(&program.acts, counted).map(|(number, _)| number).collect::<Vec<_>>();
        assert_eq!((numbers(0), numbers(1), numbers(2)), (vec![0, 1], vec![2, 3], vec![4]));
        assert!(numbers(3).is_empty());
        let flow = [Act::Step, Act::Panic, Act::Step, Act::Finish];
        assert_eq!(due(&flow, 1).map(|(number, _)| number).collect::<Vec<_>>(), [0, 2, 3], "a workflow passes over what it has done");
    }
}
