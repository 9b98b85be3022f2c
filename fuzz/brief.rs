//! A short run of every target, in every run of the tests.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use fuzz::{
    Target, corpus,
    session::{self, Counts},
    targets::TARGETS,
};

/// How long each target is tried.
const TIME: Duration = Duration::from_millis(600);

fn inputs(target: &Target) -> Vec<Vec<u8>> {
    let kept = corpus::of(&corpus::folder(), target).unwrap_or_else(|error| panic!("{} has a corpus: {error}", target.name));
    kept.into_iter().map(|(_, input)| input).collect()
}

/// Tries a target for a short time; what breaks its promise is written to a file.
fn try_briefly(target: &Target, seed: u64) -> Result<Counts, String> {
    let begun = Instant::now();
    session::run(target, &inputs(target), seed, |_| begun.elapsed() < TIME).map_err(|found| {
        let path = corpus::keep(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz"), target, &found.input).expect("it can be kept");
        format!("{}: {}\n  the input is in {}: it belongs into fuzz/corpus/{}", target.name, found.fault, path.display(), target.name)
    })
}

#[test]
fn every_promise_holds_of_the_corpus_and_of_what_is_made_from_it() {
    let (seed, next) = (rand::random(), AtomicUsize::new(0));
    let work = || {
        let mut said = Vec::new();
        while let Some(target) = TARGETS.get(next.fetch_add(1, Ordering::Relaxed)) {
            said.push((target.name, try_briefly(target, seed)));
        }
        said
    };
    let said: Vec<_> = thread::scope(|scope| {
        let hands = [scope.spawn(work), scope.spawn(work)];
        hands.into_iter().flat_map(|hand| hand.join().expect("broken promises are caught")).collect()
    });
    let broken: Vec<&String> = said.iter().filter_map(|(_, counts)| counts.as_ref().err()).collect();
    assert!(broken.is_empty(), "seed {seed}: {}", broken.iter().map(|words| words.as_str()).collect::<Vec<_>>().join("\n"));
    for (name, counts) in said.iter().filter_map(|(name, counts)| Some((name, counts.as_ref().ok()?))) {
        println!("{name:<18}{counts:?}");
        assert!(counts.tried >= 100, "{name} of seed {seed}: {counts:?} proves nothing");
    }
}

#[test]
fn the_corpus_shows_each_target_what_it_takes_and_what_it_refuses() {
    for target in &TARGETS {
        let seen: Vec<_> = inputs(target).iter().filter_map(|input| session::try_one(target, input).ok()).collect();
        assert!(seen.iter().any(|seen| seen.is_taken), "{}: nothing of the corpus is taken", target.name);
        let always_taken = ["redacted", "slack_alert"].contains(&target.name);
        assert!(always_taken || seen.iter().any(|seen| !seen.is_taken), "{}: nothing of the corpus is refused", target.name);
    }
}

#[test]
fn every_folder_of_the_corpus_belongs_to_a_target() {
    let folders = fs::read_dir(corpus::folder()).expect("there is a corpus").map(|entry| entry.expect("an entry").file_name());
    let folders: BTreeSet<String> = folders.map(|name| name.to_string_lossy().into_owned()).collect();
    assert_eq!(folders, TARGETS.iter().map(|target| target.name.to_owned()).collect());
}
