//! Draws workflows.

use rand::{RngExt, rngs::StdRng};

use super::{plain, snooze};
use crate::program::{Act, Blame, KIN, Program};

/// How many unique keys there are that children of several families have.
const KIN_KEYS: u32 = 3;

/// A workflow that makes children and waits for them; those of one act may have keys that others hold.
pub fn family(random: &mut StdRng, key: &str) -> Program {
    let child = |n: u32| plain(format!("{key}/{n}"), vec![Act::Outside, Act::Step, Act::FinishInside(Vec::new())]);
    let mut children: Vec<Program> = (0..random.random_range(1..5)).map(child).collect();
    let join = match random.random_range(0..3) {
        0 => Act::JoinAny(children),
        1 => Act::Join(children),
        _ => {
            let kin = format!("{KIN}-{}", random.random_range(0..KIN_KEYS));
            // Of two siblings of one key the second finds it held, by the same statement.
            let twins = (5..=6).map(|n| Program { unique: Some(kin.clone()), ..child(n) });
            children.extend(twins);
            Act::Join(children)
        }
    };
    plain(key.into(), vec![Act::Step, join, Act::Step, Act::FinishInside(Vec::new())])
}

/// A workflow that begins anew a few times, with steps before and after; what undoes its earlier lives is still done.
pub(super) fn anew(random: &mut StdRng, key: &str) -> Vec<Act> {
    let undo = plain(format!("{key}/undo-0"), vec![Act::Outside, Act::FinishInside(Vec::new())]);
    let mut acts = vec![Act::Undo(Box::new(undo)), Act::Step];
    for _ in 0..random.random_range(1..4) {
        acts.extend([Act::Continue, Act::StepOutside]);
        match random.random_range(0..4) {
            0 => acts.push(Act::Sleep(random.random_range(1..300))),
            1 => acts.push(Act::Fail(Blame::Upstream)),
            2 => acts.push(snooze(random)),
            _ => (),
        }
        acts.push(Act::Step);
    }
    acts.push(if random.random_ratio(1, 3) { Act::Fail(Blame::Validation) } else { Act::Finish });
    acts.push(Act::Finish);
    acts
}

/// A workflow: steps, sleeps, and failures between them, after which it passes over what it has done.
pub(super) fn flow(random: &mut StdRng) -> Vec<Act> {
    let mut acts = vec![Act::Step];
    for _ in 0..random.random_range(1..6) {
        acts.push(match random.random_range(0..6) {
            0 => Act::StepOutside,
            1 => Act::Sleep(random.random_range(1..700)),
            2 => Act::Fail(Blame::Upstream),
            3 => Act::Work(random.random_range(1..60)),
            4 => snooze(random),
            _ => Act::Step,
        });
    }
    acts.extend([Act::Step, if random.random_ratio(1, 2) { Act::Finish } else { Act::FinishInside(Vec::new()) }]);
    acts
}

/// A workflow that notes what undoes each of its steps, and mostly fails for good in the end.
pub(super) fn undone(random: &mut StdRng, key: &str) -> Vec<Act> {
    let undo = |n: u32| plain(format!("{key}/undo-{n}"), vec![Act::Outside, Act::FinishInside(Vec::new())]);
    let mut acts = vec![Act::Patch];
    for n in 0..random.random_range(1..4) {
        acts.extend([Act::Undo(Box::new(undo(n))), Act::Step, Act::Work(random.random_range(1..40))]);
    }
    acts.push(if random.random_ratio(2, 3) { Act::Fail(Blame::Validation) } else { Act::Finish });
    // Never reached by one that fails: it has but one attempt.
    acts.push(Act::Finish);
    acts
}

/// A workflow that dies behind one of its acts, and gets over that when it runs again from one of its steps.
pub fn stumbling(random: &mut StdRng, key: String) -> Program {
    let mut acts = vec![Act::Step];
    for _ in 0..random.random_range(2..7) {
        acts.push(match random.random_range(0..8) {
            0 => Act::StepOutside,
            1 => Act::Sleep(random.random_range(1..300)),
            2 => Act::Fail(Blame::Upstream),
            3 => Act::Work(random.random_range(1..60)),
            4 => snooze(random),
            _ => Act::Step,
        });
    }
    let place = random.random_range(1..=acts.len());
    acts.insert(place, Act::Stumble);
    acts.push(if random.random_ratio(1, 2) { Act::Finish } else { Act::FinishInside(Vec::new()) });
    let unique = random.random_ratio(1, 3).then(|| format!("restarted {key}"));
    Program { unique, ..plain(key, acts) }
}

/// Two workflows, of which one waits for the other's event; in any order.
pub fn pair(random: &mut StdRng, key: &str) -> [Program; 2] {
    let wait = if random.random_ratio(1, 2) {
        let child = vec![Act::Work(random.random_range(1..900)), Act::Outside, Act::FinishInside(Vec::new())];
        Act::First(Box::new(plain(format!("{key}/child"), child)), key.into())
    } else {
        Act::Await(key.into())
    };
    let waits = plain(format!("{key}/waits"), vec![Act::Step, wait, Act::Step, Act::FinishInside(Vec::new())]);
    let emits = plain(format!("{key}/emits"), vec![Act::Work(random.random_range(1..80)), Act::Emit(key.into()), Act::Step, Act::Finish]);
    if random.random_ratio(1, 2) { [waits, emits] } else { [emits, waits] }
}
