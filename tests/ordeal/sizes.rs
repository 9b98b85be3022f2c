//! Series that have a name: what is asked for by `--size` stands here, so that two nights can be compared; and the gate, which is part
//! of the tests.

use std::{
    ffi::{OsStr, OsString},
    time::Duration,
};

use crate::faults::Class;

/// Every gate runs these seeds, so that two gates can be compared, and a fresh one.
pub const GATE_SEEDS: [u64; 2] = [11, 12];
/// How long load and faults go on in each of them.
pub const GATE_TIME: Duration = Duration::from_secs(22);

/// What strikes in a gate: everything but promotions, which need a standby and a minute each, and two versions, which wait for each other.
pub fn gate_classes() -> Vec<Class> {
    Class::here().into_iter().filter(|class| !matches!(class, Class::Promotion | Class::Roll)).collect()
}

/// The names, and what each is short for.
const SIZES: [(&str, &[&str]); 2] = [
    // Some four hours of two processors.
    ("night", &["--runs", "200", "--for", "60s", "--drain", "600s", "--beside", "2", "--results", HERE, "--kept"]),
    // A million jobs, and five thousand faults and more; it goes on where it was ended.
    ("proof", &["--runs", "1000", "--for", "60s", "--drain", "600s", "--beside", "2", "--results", HERE, "--kept"]),
];

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// The names of sizes.
pub fn names() -> Vec<&'static str> {
    SIZES.iter().map(|(name, _)| *name).collect()
}

/// A command line in which a size is replaced by what it is short for; whatever else is said there counts for more. A size that there
/// is none of stays, to be refused with the other arguments.
pub fn spelled_out(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = words.into_iter().collect();
    while let Some((at, said, short_for)) = (1..words.len()).rev().find_map(|at| size_at(&words, at)) {
        words.drain(at..at + said);
        // After the program's name.
        words.splice(1..1, short_for.iter().map(|word| OsStr::new(word).to_owned()));
    }
    words
}

/// The size that is named at a place of a command line: the place, how many words name it, and what it is short for.
fn size_at(words: &[OsString], at: usize) -> Option<(usize, usize, &'static [&'static str])> {
    let of = |wanted: &OsStr| SIZES.iter().find(|(name, _)| wanted == *name).map(|(_, short_for)| *short_for);
    if words[at] == "--size" {
        return Some((at, 2, of(words.get(at + 1)?)?));
    }
    let name = words[at].to_str()?.strip_prefix("--size=")?;
    Some((at, 1, of(OsStr::new(name))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> String {
        let words = spelled_out(line.split(' ').map(OsString::from));
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ").replace(HERE, "HERE")
    }

    #[test]
    fn a_size_stands_for_arguments_and_what_is_said_beside_it_counts_for_more() {
        let night = "--runs 200 --for 60s --drain 600s --beside 2 --results HERE --kept";
        assert_eq!(of("ordeal --seed 7 --size night --for 5s"), format!("ordeal {night} --seed 7 --for 5s"));
        assert_eq!(of("ordeal --size=night"), format!("ordeal {night}"));
        let both = of("ordeal --size night --size=proof");
        assert!(both.starts_with(&format!("ordeal {night} --runs 1000 ")), "what comes last counts: {both}");
        assert_eq!(of("ordeal --seed 7"), "ordeal --seed 7");
        assert_eq!(of("ordeal --size week"), "ordeal --size week");
        assert_eq!(of("ordeal --size"), "ordeal --size");
        assert_eq!(names(), ["night", "proof"]);
    }
}
