use super::*;

fn listed(name: &str, written: Option<u32>, permissions: Option<u32>) -> Option<Version> {
    let is = FileAttributes { size: Some(7), mtime: written, permissions, ..FileAttributes::empty() };
    whole(name.into(), &is, 100_000_000)
}

#[test]
fn only_whole_files_of_the_last_days_are_looked_at() {
    let now = 100_000_000;
    for (name, written, permissions) in [
        ("a.csv", Some(now - 61), Some(0o100_644)),
        ("a.csv", Some(now - 86_400), Some(0o644)),
        ("a.csv", Some(now + 300), None),
        ("a.csv", None, None),
    ] {
        assert!(listed(name, written, permissions).is_some(), "{name} {written:?} {permissions:?}");
    }
    for (name, written, permissions) in [
        (".a.csv", Some(now - 61), None),
        ("a.csv.part", Some(now - 61), None),
        ("a.csv.TMP", Some(now - 61), None),
        ("..", Some(now - 61), Some(0o040_755)),
        ("old", Some(now - 61), Some(0o040_755)),
        ("a.csv", Some(now - 59), None),
        ("a.csv", Some(now - 31 * 86_400), None),
    ] {
        assert_eq!(listed(name, written, permissions), None, "{name} {written:?} {permissions:?}");
    }
}
