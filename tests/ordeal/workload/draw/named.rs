//! Programs that a run must have, each for what it does: chance draws none of them.

use rand::{RngExt, rngs::StdRng};

use super::{BLAMES, chaff, plain, program, snooze};
use crate::program::{Act, Blame, Death, Manner, Played, Program, RATE};

/// How many unique keys programs have that do nothing but fail.
const FRAIL_KEYS: u32 = 4;

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
    Program { played: Played::Together, ..plain(key, acts) }
}

/// A program in a process of its own: each attempt does the same, whatever came before.
pub fn apart(random: &mut StdRng, key: String) -> Program {
    let work = Act::Work(random.random_range(1..200));
    let acts = match random.random_range(0..10) {
        // Longer than a drain waits, and than a lease.
        8 => vec![Act::Outside, Act::Work(random.random_range(2000..5000)), Act::Outside, Act::Finish],
        9 => vec![Act::Outside, Act::Hold],
        0 => vec![work, Act::Die(Death::Abort)],
        1 => vec![Act::Die(Death::Stack)],
        2 => vec![work, Act::Die(Death::Memory)],
        3 => vec![Act::Outside, Act::Cancel],
        4 => vec![work, Act::Outside, Act::Fail(Blame::Validation)],
        5 => vec![work, Act::Panic],
        _ => vec![Act::Outside, work, Act::Outside, Act::Finish],
    };
    Program { played: Played::Apart, ..plain(key, acts) }
}

/// A program that calls an outside system. Mostly it is answered; some make no call, and what some fail with says nothing of the system.
pub fn calling(random: &mut StdRng, key: String) -> Program {
    let work = Act::Work(random.random_range(1..200));
    let acts = match random.random_range(0..8) {
        0 => vec![Act::Outside, Act::Fail(Blame::BusinessRule), work, Act::Finish],
        1 => vec![snooze(random), work, Act::FinishInside(Vec::new())],
        2 => vec![work, Act::Outside, Act::Cancel],
        3 => vec![Act::Step, work, Act::StepOutside, Act::Sleep(random.random_range(1..300)), Act::Finish],
        _ => vec![work, Act::Outside, Act::Finish],
    };
    Program { played: Played::Calling, ..plain(key, acts) }
}

/// A program that finds the outside system down once or twice, and is answered then.
pub fn turned_away(random: &mut StdRng, key: String) -> Program {
    let mut acts = Vec::new();
    for _ in 0..random.random_range(1..3) {
        let blame = if random.random_ratio(1, 3) { Blame::RateLimited } else { Blame::Upstream };
        acts.extend([Act::Work(random.random_range(1..80)), Act::Outside, Act::Fail(blame)]);
    }
    acts.extend([Act::Work(random.random_range(1..200)), Act::Outside, Act::Finish]);
    Program { played: Played::Calling, ..plain(key, acts) }
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
    let longest = [1, 200, 4000, 4000][random.random_range(0..4)];
    let deadline_ms = Some(random.random_range(0..longest));
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
