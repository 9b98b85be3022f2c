//! Tries inputs on a target until a promise is broken or it is enough.

use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{Target, Verdict, chance};

/// How long one input may take, on a machine under load and without optimisation.
const PATIENCE: Duration = Duration::from_secs(5);
/// Shapes that are kept as beginnings of others.
const POOL: usize = 2_000;
/// How often an input that broke a promise is made smaller.
const CUTS: usize = 3_000;

/// What came of a session without a broken promise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Inputs that were tried.
    pub tried: u64,
    /// Of them, those that were taken.
    pub taken: u64,
    /// Kinds of answers.
    pub shapes: u64,
}

/// An input that broke a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The input, made small.
    pub input: Vec<u8>,
    /// What was broken.
    pub fault: String,
}

/// Tries one input. A panic is a broken promise, and so is taking for ever.
///
/// # Errors
/// The promise that was broken.
pub fn try_one(target: &Target, input: &[u8]) -> Verdict {
    let begun = Instant::now();
    let verdict = catch_unwind(AssertUnwindSafe(|| (target.check)(input))).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(format!("panicked: {}", words.unwrap_or("without words")))
    });
    match begun.elapsed() {
        took if verdict.is_ok() && took > PATIENCE => Err(format!("took {took:?}")),
        _ => verdict,
    }
}

/// Tries the corpus, then changes of it, as long as `goes_on` says so.
///
/// # Errors
/// The first input that broke a promise, made small.
pub fn run(target: &Target, corpus: &[Vec<u8>], seed: u64, mut goes_on: impl FnMut(&Counts) -> bool) -> Result<Counts, Found> {
    let (mut counts, mut shapes, mut pool) = (Counts::default(), HashSet::new(), Vec::new());
    let mut random = StdRng::seed_from_u64(seed);
    let (mut waiting, many) = (corpus.iter().rev().cloned().collect::<Vec<_>>(), corpus.len());
    while !waiting.is_empty() || goes_on(&counts) {
        let given = waiting.pop();
        let is_given = given.is_some();
        // Half of them begin with what people wrote: what was found on the way is stranger and stranger.
        let from = if random.random_ratio(1, 2) { &pool[..many.min(pool.len())] } else { &pool[..] };
        let input = given.unwrap_or_else(|| chance::change(&mut random, from, target.words));
        let verdict = try_one(target, &input).map_err(|fault| smaller(target, input.clone(), fault))?;
        counts.tried += 1;
        counts.taken += u64::from(verdict.is_taken);
        let is_new = shapes.insert((verdict.is_taken, verdict.shape));
        counts.shapes = shapes.len() as u64;
        if is_given || (is_new && pool.len() < POOL) {
            pool.push(input);
        }
    }
    Ok(counts)
}

/// Makes an input smaller as long as the same promise stays broken, by leaving out pieces: large ones first.
fn smaller(target: &Target, mut input: Vec<u8>, mut fault: String) -> Found {
    let kind = |fault: &str| fault.chars().filter(char::is_ascii_alphabetic).take(16).collect::<String>();
    let (wanted, mut tried) = (kind(&fault), 0);
    let mut piece = input.len().div_ceil(2);
    // Where each try takes seconds, it stays as it is.
    while piece > 0 && !fault.starts_with("took") {
        let mut at = 0;
        while at < input.len() && tried < CUTS {
            tried += 1;
            let mut shorter = input.clone();
            drop(shorter.drain(at..(at + piece).min(input.len())));
            match try_one(target, &shorter) {
                Err(same) if kind(&same) == wanted => (input, fault) = (shorter, same),
                _ => at += piece,
            }
        }
        piece = if piece == 1 { 0 } else { piece.div_ceil(2) };
    }
    Found { input, fault }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seen;

    /// A reader that stumbles over a quotation mark after a comma.
    const CARELESS: Target = Target {
        name: "careless",
        promise: "none",
        words: &["\"", ","],
        check: |input| {
            assert!(!input.windows(2).any(|pair| pair == b",\""), "a quotation mark");
            Ok(if input.len() > 4 { Seen::taken(input.len() / 8) } else { Seen::refused("too short") })
        },
    };

    #[test]
    fn a_planted_fault_is_found_and_made_small() {
        let found = run(&CARELESS, &[b"one, two and three".to_vec()], 7, |counts| counts.tried < 100_000).expect_err("it stumbles");
        assert_eq!(found.input, b",\"");
        assert_eq!(found.fault, "panicked: a quotation mark");
    }

    #[test]
    fn the_corpus_is_tried_first_and_in_order() {
        let broken = run(&CARELESS, &[b"sound".to_vec(), b"x,\"x".to_vec()], 7, |_| panic!("it was asked whether to go on"));
        assert_eq!(broken.expect_err("the second is broken").input, b",\"");
        let counts = run(&CARELESS, &[b"sound".to_vec(), b"x".to_vec()], 7, |_| false).expect("both are sound");
        assert_eq!(counts, Counts { tried: 2, taken: 1, shapes: 2 });
    }
}
