//! Draws programs.

mod flows;
mod named;

use rand::{RngExt, rngs::StdRng};
use serde_json::{Value, json};

use crate::{
    canaries::ARGUMENT,
    chance::weighted,
    program::{Act, Blame, DEBOUNCED, LIMITS, Manner, Played, Program, RATE, REPLACED},
};

use flows::{anew, flow, undone};
pub use flows::{family, pair, stumbling};
pub use named::{
    apart, brief, called_back, calling, distant, doomed, frail, gathered, held, hurried, keyless, only_fails, poison, quick, rated,
    turned_away, twin,
};

/// How many unique keys there are: few, so that jobs meet.
const UNIQUE_KEYS: u32 = 8;
/// And how many under which programs replace each other.
const CONTESTED_KEYS: u32 = 4;
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

const fn plain(key: String, acts: Vec<Act>) -> Program {
    Program {
        key,
        acts,
        unique: None,
        manner: Manner::Yields,
        played: Played::Alone,
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
