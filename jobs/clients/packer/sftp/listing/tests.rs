use std::time::Duration;

use super::*;

const NOW: u32 = 100_000_000;

fn listed(name: &str, mtime: Option<u32>, permissions: Option<u32>) -> Option<Version> {
    offered(name.into(), &FileAttributes { size: Some(7), mtime, permissions, ..FileAttributes::empty() }, NOW.into())
}

/// The names that are whole at a visit so many seconds after the first.
fn names(memory: &mut Memory, files: &[(&str, u64, Option<u32>)], first: Instant, after: u64) -> Vec<String> {
    let offered = files.iter().map(|(name, size, written)| ((*name).into(), *size, *written)).collect();
    let whole = memory.meet(offered, u64::from(NOW) + after, first + Duration::from_secs(after));
    whole.into_iter().map(|(version, _)| version.0).collect()
}

#[test]
fn only_files_of_the_last_days_are_looked_at() {
    for (name, written, permissions) in [
        ("a.csv", Some(NOW - 61), Some(0o100_644)),
        ("a.csv", Some(NOW - 86_400), Some(0o644)),
        ("a.csv", Some(NOW + 300), None),
        ("a.csv", None, None),
    ] {
        assert!(listed(name, written, permissions).is_some(), "{name} {written:?} {permissions:?}");
    }
    for (name, written, permissions) in [
        (".a.csv", Some(NOW - 61), None),
        ("a.csv.part", Some(NOW - 61), None),
        ("a.csv.TMP", Some(NOW - 61), None),
        ("..", Some(NOW - 61), Some(0o040_755)),
        ("old", Some(NOW - 61), Some(0o040_755)),
        ("a.csv", Some(NOW - 31 * 86_400), None),
    ] {
        assert_eq!(listed(name, written, permissions), None, "{name} {written:?} {permissions:?}");
    }
}

#[test]
fn a_file_whose_time_says_nothing_is_whole_when_it_lies_unchanged_for_a_minute() {
    let (mut memory, first) = (Memory::default(), Instant::now());
    let files =
        |grown: u64| [("old", 7, Some(NOW - 60)), ("new", 7, Some(NOW - 59)), ("ahead", grown, Some(NOW + 9_000)), ("none", 7, None)];
    assert_eq!(names(&mut memory, &files(7), first, 0), ["old"]);
    assert_eq!(names(&mut memory, &files(8), first, 59), ["new", "old"]);
    assert_eq!(names(&mut memory, &files(8), first, 60), ["new", "old", "none"], "the one ahead has grown");
    assert_eq!(names(&mut memory, &files(8), first, 119), ["ahead", "new", "old", "none"]);
    // What was away in between is another file.
    assert_eq!(names(&mut memory, &[], first, 200), Vec::<String>::new());
    assert_eq!(names(&mut memory, &files(8), first, 201), ["new", "old"]);
}

#[test]
fn what_could_not_be_read_is_tried_after_all_others() {
    let (mut memory, first) = (Memory::default(), Instant::now());
    let files = [("a", 7, Some(NOW - 100)), ("b", 7, Some(NOW - 90)), ("c", 7, Some(NOW - 80))];
    assert_eq!(names(&mut memory, &files, first, 0), ["c", "b", "a"]);
    memory.note(&("c".into(), 7, Some(NOW - 80)), &Err(Category::Timeout));
    memory.note(&("b".into(), 7, Some(NOW - 90)), &Ok(Some("hash".into())));
    assert_eq!(names(&mut memory, &files, first, 1), ["b", "a", "c"]);
    memory.note(&("c".into(), 7, Some(NOW - 80)), &Ok(None));
    assert_eq!(names(&mut memory, &files, first, 2), ["c", "b", "a"]);
}
