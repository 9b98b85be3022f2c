//! Strings and JSON texts that careless programs stumble over.

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};

const STRINGS: [&str; 22] = [
    "",
    " ",
    "\0",
    "a\0b",
    "Siân’s dog 🐕",
    "\u{202e}gnp.exe",
    "\u{feff}x",
    "\x1b[31mred\x1b[0m",
    "=HYPERLINK(\"http://x\")",
    "'; drop table engine.job; --",
    "$1",
    "{{ secret }}",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "a\r\nSet-Cookie: x=1",
    "\u{fffd}",
    "\u{10ffff}",
    "NaN",
    "infinity",
    "null",
    "e\u{301}",
    "\\u0000",
];

/// A string.
pub fn string(random: &mut StdRng) -> String {
    match random.random_range(0..10) {
        0 => "x".repeat(random.random_range(1..4000)),
        1 => (0..random.random_range(1..40)).map(|_| random.random::<char>()).collect(),
        _ => STRINGS.choose(random).copied().unwrap_or_default().into(),
    }
}

/// A text that is JSON, mostly: a value of any kind, as deep and as large as it happens to be.
pub fn json(random: &mut StdRng) -> String {
    match random.random_range(0..40) {
        0 => nested(random.random_range(1..4000)),
        1 => "1e400".into(),
        2 => "-0.0000000000000000000000000000000000000000001".into(),
        3 => format!("{}", u128::MAX),
        4 => r#""\ud800""#.into(),
        5 => r#""\u0000""#.into(),
        6 => "{\"a\": 1, \"a\": 2}".into(),
        7 => broken(random),
        // As large as arguments may be, or larger: rarely, for the time that it takes.
        8 if random.random_ratio(1, 10) => format!("\"{}\"", "y".repeat(random.random_range(900_000..1_200_000))),
        _ => value(random, 0),
    }
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

/// A value with something taken out of it, put into it or changed.
fn broken(random: &mut StdRng) -> String {
    let mut bytes = value(random, 0).into_bytes();
    let place = random.random_range(0..bytes.len());
    match random.random_range(0..4) {
        0 => drop(bytes.remove(place)),
        1 => bytes.insert(place, b"{}[],:\"\\-e."[random.random_range(0..11)]),
        2 => bytes.truncate(place),
        _ => bytes[place] = random.random_range(1..128),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn value(random: &mut StdRng, depth: u32) -> String {
    match random.random_range(0..if depth < 4 { 9 } else { 7 }) {
        0 => "null".into(),
        1 => random.random::<bool>().to_string(),
        2 => random.random::<i64>().to_string(),
        3 => format!("{:?}", f64::from_bits(random.random::<u64>() >> 2)),
        4 => format!("{}.{:020}", random.random::<i32>(), random.random::<u64>()),
        5 => format!("{}e{}", random.random_range(1..10), random.random_range(-300..300)),
        6 => serde_json::Value::from(string(random)).to_string(),
        7 => {
            let parts: Vec<String> = (0..random.random_range(0..5)).map(|_| value(random, depth + 1)).collect();
            format!("[{}]", parts.join(" ,"))
        }
        _ => {
            let field = |random: &mut StdRng| format!("{}: {}", serde_json::Value::from(string(random)), value(random, depth + 1));
            let parts: Vec<String> = (0..random.random_range(0..5)).map(|_| field(random)).collect();
            format!("{{{}}}", parts.join(","))
        }
    }
}
