//! Draws programs.

use rand::{RngExt, rngs::StdRng};
use serde_json::{Value, json};

use crate::{
    canaries::ARGUMENT,
    chance::weighted,
    program::{Act, Blame, DEBOUNCED, Death, KIN, LIMITS, Manner, Program, RATE, REPLACED},
};

/// How many unique keys there are: few, so that jobs meet.
const UNIQUE_KEYS: u32 = 8;
/// And how many under which programs replace each other.
const CONTESTED_KEYS: u32 = 4;
/// And how many that children of several families have.
const KIN_KEYS: u32 = 3;
/// And how many of those that do nothing but fail.
const FRAIL_KEYS: u32 = 4;
const BLAMES: [Blame; 4] = [Blame::Validation, Blame::BusinessRule, Blame::RateLimited, Blame::Upstream];

#[derive(Debug, Clone, Copy)]
enum Shape {
    Plain,
    Work,
    Outside,
    Inside,
    Effect,
    Parent,
    Fails,
    Panics,
    Snoozes,
    Cancels,
    Blocks,
    Files,
    Mixed,
    Flow,
    Undone,
    Loops,
    Noted,
    Vain,
    Anew,
}

const SHAPES: [(Shape, u32); 19] = [
    (Shape::Plain, 24),
    (Shape::Work, 10),
    (Shape::Outside, 12),
    (Shape::Inside, 8),
    (Shape::Effect, 14),
    (Shape::Parent, 6),
    (Shape::Fails, 9),
    (Shape::Panics, 3),
    (Shape::Snoozes, 6),
    (Shape::Cancels, 2),
    (Shape::Blocks, 1),
    (Shape::Files, 1),
    (Shape::Mixed, 8),
    (Shape::Flow, 10),
    (Shape::Undone, 4),
    (Shape::Loops, 2),
    (Shape::Noted, 4),
    (Shape::Vain, 3),
    (Shape::Anew, 5),
];

/// A program of this name.
pub fn program(random: &mut StdRng, key: String) -> Program {
    let shape = weighted(random, &SHAPES);
    let acts = acts(random, &key, shape);
    let mut program = plain(key, acts);
    program.priority = random.random_range(3..=6);
    if random.random_ratio(1, 8) {
        program.delay_ms = random.random_range(50..3000);
    }
    if random.random_ratio(1, 10) {
        program.unique = Some(format!("unique-{}", random.random_range(0..UNIQUE_KEYS)));
        // One that holds its key for a while is met by others.
        if random.random_ratio(1, 3) {
            program.delay_ms = random.random_range(50..3000);
        }
    }
    if random.random_ratio(1, 14) {
        contest(random, &mut program);
    }
    if random.random_ratio(1, 12) {
        program.limit = Some(weighted(random, &[(LIMITS[0].0, 3), (LIMITS[1].0, 2), (LIMITS[2].0, 4), (RATE.0, 2)]).into());
        // A workflow that waits gives its place to the next, also of a key that keeps its order.
        if program.limit.as_deref() == Some(LIMITS[0].0) && program.acts.iter().any(|act| matches!(act, Act::Sleep(_) | Act::Vain(_))) {
            program.limit = Some(LIMITS[1].0.into());
        }
        // A job that is sent back because its rate has nothing left counts as snoozed too.
        if program.limit.as_deref() == Some(RATE.0) && program.acts.iter().any(|act| matches!(act, Act::Snooze(_))) {
            program.limit = Some(LIMITS[2].0.into());
        }
    }
    if random.random_ratio(1, 20) {
        program.max_attempts = Some(random.random_range(1..4));
    }
    if random.random_ratio(1, 3) {
        program.chaff = chaff(random, 0);
    }
    program
}

/// Gives a program a key under which others replace it, or it them.
fn contest(random: &mut StdRng, program: &mut Program) {
    let number = random.random_range(0..CONTESTED_KEYS);
    if random.random_ratio(1, 2) {
        (program.unique, program.manner) = (Some(format!("{REPLACED}-{number}")), Manner::Replaces);
    } else {
        (program.unique, program.manner) = (Some(format!("{DEBOUNCED}-{number}")), Manner::Debounces);
        // It waits as long as its manner says.
        program.delay_ms = 0;
    }
}

/// A program that is worked on in one call with others. None of them does what would end the call of all.
pub fn gathered(random: &mut StdRng, key: String) -> Program {
    let mut acts = Vec::new();
    for _ in 0..random.random_range(1..4) {
        acts.push(match random.random_range(0..5) {
            0 => Act::Outside,
            1 => Act::Inside,
            2 => Act::Fail(BLAMES[random.random_range(1..4)]),
            3 => snooze(random),
            _ => Act::Work(random.random_range(1..60)),
        });
    }
    acts.push(if random.random_ratio(1, 2) { Act::Finish } else { Act::FinishInside(Vec::new()) });
    Program { together: true, ..plain(key, acts) }
}

/// A quick program of a limit key: several that come together follow each other on one place of their key.
pub fn quick(random: &mut StdRng, key: String, limit: &str) -> Program {
    Program { limit: Some(limit.into()), ..plain(key, vec![Act::Work(random.random_range(1..25)), Act::Finish]) }
}

/// A quick program of the key with a rate.
pub fn rated(key: String) -> Program {
    Program { limit: Some(RATE.0.into()), ..plain(key, vec![Act::Work(5), Act::Finish]) }
}

/// A program of no key, as those must be that are copied.
pub fn keyless(random: &mut StdRng, key: String) -> Program {
    Program { unique: None, manner: Manner::Yields, limit: None, ..program(random, key) }
}

/// What is called back when all of a batch have ended.
pub fn called_back(key: String) -> Program {
    plain(key, vec![Act::Outside, Act::FinishInside(Vec::new())])
}

/// A program that runs until somebody cancels it.
pub fn held(key: String) -> Program {
    plain(key, vec![Act::Outside, Act::Hold])
}

/// A program that would run in a day, and is cancelled before.
pub fn distant(key: String) -> Program {
    Program { delay_ms: 24 * 3600 * 1000, ..plain(key, vec![Act::Outside, Act::Finish]) }
}

/// A program that ends its process each time it runs, and holds a unique key of its own until it is given up.
pub fn poison(key: String, death: Death) -> Program {
    let unique = Some(format!("poison {key}"));
    Program { unique, ..plain(key, vec![Act::Outside, Act::Die(death)]) }
}

/// A program that dies while it holds a unique key of its own.
pub fn doomed(key: String) -> Program {
    let unique = Some(format!("doomed {key}"));
    Program { unique, ..plain(key, vec![Act::Outside, Act::Fail(Blame::Validation)]) }
}

/// A program that does nothing but fail for good, under a unique key that others have too.
pub fn frail(random: &mut StdRng, key: String) -> Program {
    let unique = Some(format!("frail-{}", random.random_range(0..FRAIL_KEYS)));
    Program { unique, chaff: chaff(random, 0), ..plain(key, vec![Act::Fail(Blame::Validation)]) }
}

/// Whether a program does nothing but fail: then it can be run again as it was, and nothing is done twice.
pub fn only_fails(acts: &[Act]) -> bool {
    acts.iter().all(|act| matches!(act, Act::Fail(_)))
}

/// A program that is of no use if it does not begin soon, and comes after all others.
pub fn hurried(random: &mut StdRng, key: String) -> Program {
    let longest = if random.random_ratio(1, 2) { 200 } else { 4000 };
    let deadline_ms = Some(random.random_range(1..longest));
    Program { deadline_ms, priority: 9, ..plain(key, vec![Act::Work(random.random_range(1..60)), Act::Finish]) }
}

/// A program that works for a while under a unique key which another one has too.
pub fn twin(key: String, of: &str) -> Program {
    Program { unique: Some(format!("twins {of}")), ..plain(key, vec![Act::Work(400), Act::Finish]) }
}

/// A program that does nothing.
pub fn brief(key: String) -> Program {
    plain(key, vec![Act::Finish])
}

const fn plain(key: String, acts: Vec<Act>) -> Program {
    Program {
        key,
        acts,
        unique: None,
        manner: Manner::Yields,
        together: false,
        limit: None,
        delay_ms: 0,
        deadline_ms: None,
        priority: 5,
        max_attempts: None,
        chaff: Value::Null,
    }
}

fn acts(random: &mut StdRng, key: &str, shape: Shape) -> Vec<Act> {
    let work = Act::Work(random.random_range(2..60));
    match shape {
        Shape::Plain => vec![Act::Finish],
        Shape::Work => vec![work, Act::Finish],
        Shape::Outside => vec![Act::Outside, work, Act::Outside, Act::Finish],
        Shape::Inside => vec![Act::Inside, work, Act::Inside, Act::FinishInside(Vec::new())],
        Shape::Effect => vec![work, Act::FinishInside(Vec::new())],
        Shape::Parent => {
            let child = |n: u32| plain(format!("{key}/{n}"), vec![Act::Outside, Act::FinishInside(Vec::new())]);
            vec![Act::Child(Box::new(child(0))), work, Act::FinishInside(vec![child(1), child(2)])]
        }
        Shape::Fails => {
            let mut acts = Vec::new();
            // Mixed blames die early; those that fail alike get to the last attempt of their category.
            let alike = random.random_ratio(1, 2).then(|| BLAMES[random.random_range(1..4)]);
            for _ in 0..random.random_range(1..5) {
                acts.extend([Act::Outside, Act::Fail(alike.unwrap_or_else(|| BLAMES[random.random_range(0..4)]))]);
            }
            acts.push(Act::Finish);
            acts
        }
        Shape::Panics => vec![Act::Panic, work, Act::Finish],
        Shape::Snoozes => vec![Act::Outside, snooze(random), Act::Inside, snooze(random), Act::FinishInside(Vec::new())],
        Shape::Cancels => vec![Act::Inside, Act::Cancel],
        Shape::Blocks => vec![Act::Block(random.random_range(5..120)), Act::Finish],
        Shape::Files => vec![Act::Files(random.random_range(20..400)), Act::Outside, Act::FinishInside(Vec::new())],
        Shape::Mixed => mixed(random),
        Shape::Flow => flow(random),
        Shape::Undone => undone(random, key),
        Shape::Loops => {
            let mut acts: Vec<Act> = (0..random.random_range(8..20)).map(|_| Act::Snooze(random.random_range(1..40))).collect();
            acts.extend([Act::Outside, Act::Finish]);
            acts
        }
        Shape::Noted => vec![Act::Note, Act::Fail(Blame::Upstream), Act::Note, work, Act::Note, Act::Finish],
        Shape::Vain => vec![Act::Step, Act::Vain(random.random_range(1..900)), Act::Step, Act::FinishInside(Vec::new())],
        Shape::Anew => anew(random, key),
    }
}

fn mixed(random: &mut StdRng) -> Vec<Act> {
    let mut acts = Vec::new();
    for _ in 0..random.random_range(2..8) {
        acts.push(match random.random_range(0..8) {
            0 => Act::Work(random.random_range(1..40)),
            1 => Act::Outside,
            2 => Act::Inside,
            3 => Act::Note,
            4 => Act::Fail(BLAMES[random.random_range(1..4)]),
            5 => snooze(random),
            6 => Act::Work(random.random_range(40..300)),
            _ => Act::Panic,
        });
    }
    acts.push(if random.random_ratio(1, 2) { Act::Finish } else { Act::FinishInside(Vec::new()) });
    acts
}

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
fn anew(random: &mut StdRng, key: &str) -> Vec<Act> {
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
fn flow(random: &mut StdRng) -> Vec<Act> {
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
fn undone(random: &mut StdRng, key: &str) -> Vec<Act> {
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

fn snooze(random: &mut StdRng) -> Act {
    Act::Snooze(random.random_range(1..600))
}

/// Something that a careless engine changes: large numbers, empty and odd strings, nested lists.
fn chaff(random: &mut StdRng, depth: u32) -> Value {
    match random.random_range(0..if depth < 3 { 8 } else { 6 }) {
        0 => json!(random.random::<i64>()),
        1 => json!(random.random::<u64>()),
        2 => json!("Siân’s dog 🐕 \"said\" \\ \u{1}\u{202e} = 1 + 1"),
        3 => json!(ARGUMENT),
        4 => json!(random.random_ratio(1, 2)),
        // Of no length at times.
        5 => json!("x".repeat(random.random_range(0..400) / 40 * 40)),
        6 => (0..random.random_range(0..4)).map(|_| chaff(random, depth + 1)).collect(),
        _ => json!({ "a": chaff(random, depth + 1), "": chaff(random, depth + 1), "null": null }),
    }
}
