//! How one input becomes another: a few small changes, drawn from a seed.

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};

/// The longest input that is made, in bytes.
const LONGEST: usize = 1 << 16;
/// What careless readers stumble over, whatever they read.
const STRANGE: [&str; 40] = [
    "\0",
    "\u{feff}",
    "\u{202e}",
    "\u{200b}",
    "\u{a0}",
    "\u{85}",
    "\u{2028}",
    "\x1b[31m",
    "\r\n",
    "\r",
    "\t",
    "\"",
    "'",
    "\\",
    "\\u0000",
    "\\ud800",
    "é",
    "🐕",
    "＝",
    "\u{10ffff}",
    "e\u{301}",
    "{{x}}",
    "<!channel>",
    "<script>",
    "&amp;",
    "=1+1",
    "@",
    "..",
    "%00",
    "%2e",
    "NaN",
    "inf",
    "null",
    "true",
    "[]",
    "{}",
    "1e400",
    "1_000",
    "٣",
    "K",
];
/// Numbers at the ends of types.
const NUMBERS: [&str; 20] = [
    "0",
    "-0",
    "-1",
    "1",
    "01",
    "+1",
    "1.",
    ".5",
    "1e5",
    "32767",
    "32768",
    "65536",
    "2147483647",
    "2147483648",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1e-400",
    "99999999999999999999999999999",
];

/// Another input, made from one of these.
pub fn change(random: &mut StdRng, pool: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let mut input = pool.choose(random).cloned().unwrap_or_default();
    // Mostly few: of many changes the first that is noticed hides the others.
    let more = random.random_range(0..4_u32) * random.random_range(0..2_u32);
    for _ in 0..=more {
        change_once(random, &mut input, pool, words);
    }
    input.truncate(LONGEST);
    input
}

fn change_once(random: &mut StdRng, input: &mut Vec<u8>, pool: &[Vec<u8>], words: &[&str]) {
    let at = random.random_range(0..=input.len());
    match random.random_range(0..14) {
        0 if at < input.len() => input[at] ^= 1 << random.random_range(0..8),
        1 if at < input.len() => input[at] = random.random(),
        2 => drop(input.drain(at..end(random, input, at))),
        3 => {
            let piece = input[at..end(random, input, at)].to_vec();
            insert(input, at, &piece);
        }
        4 => input.truncate(at),
        5 => number(random, input, at),
        6 => line(random, input),
        7 => splice(random, input, at, pool),
        8 => repeat(random, input, at),
        9 | 10 => insert(input, at, STRANGE.choose(random).map_or(b"", |word| word.as_bytes())),
        _ => word(random, input, at, words),
    }
}

/// An end after a place, near it for the most part.
fn end(random: &mut StdRng, input: &[u8], at: usize) -> usize {
    let longest = if random.random_ratio(1, 8) { input.len() } else { 8 };
    (at + random.random_range(0..=longest)).min(input.len())
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    drop(input.splice(at..at, bytes.iter().copied()));
}

/// Puts a word of the target in, in place of the one that stands there or beside it.
fn word(random: &mut StdRng, input: &mut Vec<u8>, at: usize, words: &[&str]) {
    let Some(word) = words.choose(random) else { return };
    let old = if random.random_ratio(1, 2) { input[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count() } else { 0 };
    drop(input.splice(at..at + old, word.bytes()));
}

/// Puts another number in place of one.
fn number(random: &mut StdRng, input: &mut Vec<u8>, from: usize) {
    let Some(at) = input[from..].iter().position(u8::is_ascii_digit).map(|at| from + at) else { return };
    let length = input[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let other = if random.random_ratio(1, 2) {
        NUMBERS.choose(random).map(ToString::to_string).unwrap_or_default()
    } else {
        random.random_range(0..100_000_u32).to_string()
    };
    drop(input.splice(at..at + length, other.bytes()));
}

/// Leaves a line out, doubles it or moves it.
fn line(random: &mut StdRng, input: &mut Vec<u8>) {
    let mut lines: Vec<Vec<u8>> = input.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let (one, other) = (random.random_range(0..lines.len()), random.random_range(0..lines.len()));
    match random.random_range(0..3) {
        0 => drop(lines.remove(one)),
        1 => lines.insert(other, lines[one].clone()),
        _ => lines.swap(one, other),
    }
    *input = lines.join(&b'\n');
}

/// Goes on as another input does.
fn splice(random: &mut StdRng, input: &mut Vec<u8>, at: usize, pool: &[Vec<u8>]) {
    let Some(other) = pool.choose(random) else { return };
    let from = random.random_range(0..=other.len());
    input.truncate(at);
    input.extend_from_slice(&other[from..]);
}

/// Says one byte many times.
fn repeat(random: &mut StdRng, input: &mut Vec<u8>, at: usize) {
    let byte = input.get(at).copied().unwrap_or(b'x');
    let times = [3, 40, 201, 1_100, 5_000].choose(random).copied().unwrap_or_default();
    insert(input, at, &vec![byte; times]);
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_seed_draws_the_same_changes_again_and_most_of_them_change_something() {
        let pool = [b"order_ref,tracking_no\nPR#1001,42\n".to_vec()];
        let draw = |seed| {
            let mut random = StdRng::seed_from_u64(seed);
            (0..2_000).map(|_| change(&mut random, &pool, &["sku"])).collect::<Vec<_>>()
        };
        let drawn = draw(1);
        assert_eq!(drawn, draw(1));
        assert!(drawn.iter().filter(|input| **input != pool[0]).count() > 1_800);
        assert!(drawn.iter().all(|input| input.len() <= LONGEST));
    }

    #[test]
    fn an_empty_input_can_be_changed() {
        let mut random = StdRng::seed_from_u64(2);
        for pool in [&[][..], &[Vec::new()]] {
            assert!((0..1_000).any(|_| !change(&mut random, pool, &[]).is_empty()));
        }
    }
}
