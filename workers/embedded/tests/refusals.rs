//! What is refused, in which words, and that nothing is lost by it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use embedded::{Environment, Options};

use crate::support::{Folder, ensure, we_are_root};

fn refusal(options: &Options) -> String {
    match embedded::ensure(options, |_, _| {}) {
        Ok(cluster) => panic!("came up with {}", cluster.version()),
        Err(error) => error.to_string(),
    }
}

fn says(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "{part:?} is missing in: {error}");
    }
    assert!(!error.contains('\n'), "one sentence after the other: {error}");
}

fn system_without(folder: &Folder) -> Environment {
    Environment::of_process()
        .with("PATH", folder.path())
        .with_places(&[])
        .with("XDG_CACHE_HOME", folder.join("cache"))
        .with("HOME", folder.path())
}

#[test]
fn data_of_another_major_is_refused_and_left_alone() {
    let folder = Folder::new();
    let version = folder.write("pg/data-97/PG_VERSION", "97\n");
    give_to_server(&folder.join("pg/data-97"));
    folder.write("pg/data-97.txt", "bindir = /nowhere\nversion = 97.2\nprofile = kept\n");
    let error = refusal(&Options::kept(folder.join("pg")));
    says(&error, &["pg/data-97 holds data of PostgreSQL 97", "RAWOPS_PG_BIN", "move the folder aside"]);
    assert_eq!(fs::read_to_string(version).expect("is there"), "97\n");
    let left: Vec<_> = fs::read_dir(folder.join("pg")).expect("is there").flatten().collect();
    assert_eq!(left.len(), 4, "two of the data, two locks: {left:?}");
}

#[test]
fn data_older_than_the_oldest_is_refused() {
    let folder = Folder::new();
    folder.write("pg/data-13/PG_VERSION", "13\n");
    give_to_server(&folder.join("pg/data-13"));
    let error = refusal(&Options::kept(folder.join("pg")));
    says(&error, &["pg/data-13 holds data of PostgreSQL 13", "14 is the oldest"]);
}

#[test]
fn a_named_server_of_version_13_is_refused() {
    let folder = Folder::new();
    let old = folder.fake_server("old", "13.22 (Debian 13.22-1)");
    let environment = Environment::of_process().with("RAWOPS_PG_BIN", &old);
    let error = refusal(&Options::kept(folder.join("pg")).environment(environment));
    says(&error, &["RAWOPS_PG_BIN=", "is PostgreSQL 13.22, and 14 is the oldest that works", "unset it"]);
}

#[test]
fn a_named_folder_without_a_server_is_refused() {
    let folder = Folder::new();
    let environment = Environment::of_process().with("RAWOPS_PG_BIN", folder.path());
    let error = refusal(&Options::kept(folder.join("pg")).environment(environment));
    says(&error, &["RAWOPS_PG_BIN=", "has no program postgres"]);
}

#[test]
fn an_old_system_server_is_named_in_the_refusal() {
    let folder = Folder::new();
    let old = folder.fake_server("old", "13.22");
    let environment = Environment::of_process().with("RAWOPS_PG", "system").with("PATH", &old).with_places(&[]);
    let error = refusal(&Options::kept(folder.join("pg")).environment(environment));
    says(&error, &["no usable PostgreSQL found", "old is PostgreSQL 13.22", "RAWOPS_PG=system forbids"]);
}

#[test]
fn without_a_server_and_without_fetching_the_way_out_is_named() {
    let folder = Folder::new();
    let environment = system_without(&folder).with("RAWOPS_PG_DOWNLOAD", "never");
    let error = refusal(&Options::kept(folder.join("pg")).environment(environment));
    says(&error, &["the system has none", "RAWOPS_PG_DOWNLOAD=never forbids", "Install", "DATABASE_URL"]);
}

#[test]
fn without_pip_and_uv_the_install_line_of_the_system_is_named() {
    let folder = Folder::new();
    folder.fake_server("bin", "");
    fs::rename(folder.join("bin/postgres"), folder.join("apt-get")).expect("ours");
    let error = refusal(&Options::kept(folder.join("pg")).environment(system_without(&folder)));
    says(&error, &["there is neither pip nor uv", "`apt-get install -y --no-install-recommends postgresql`"]);
}

#[test]
fn an_unknown_wish_is_refused() {
    let folder = Folder::new();
    let environment = Environment::of_process().with("RAWOPS_PG", "privat");
    let error = refusal(&Options::kept(folder.path()).environment(environment));
    says(&error, &["RAWOPS_PG=privat", "Set it to `private` or `system`"]);
}

#[test]
fn profiles_do_not_share_a_folder() {
    let folder = Folder::new();
    let (kept, _) = ensure(&Options::kept(folder.path()));
    let error = refusal(&Options::throwaway(folder.path()));
    says(&error, &["holds a kept cluster and a throw-away one was asked for"]);
    let record = kept.data_dir().with_extension("txt");
    drop(kept);
    fs::remove_file(record).expect("is there");
    refusal(&Options::throwaway(folder.path()));
}

#[test]
fn a_folder_of_another_user_is_refused() {
    if !we_are_root() {
        eprintln!("skipped: only root can give a folder away");
        return;
    }
    let folder = Folder::new();
    let theirs = folder.join("theirs");
    fs::create_dir(&theirs).expect("ours");
    std::os::unix::fs::chown(&theirs, Some(4711), Some(4711)).expect("we are root");
    let error = refusal(&Options::kept(&theirs));
    says(&error, &["theirs belongs to user 4711", "Run as user 4711", "chown -R"]);
    assert_eq!(fs::read_dir(&theirs).expect("is there").count(), 0);
}

#[test]
fn a_folder_without_permission_is_refused() {
    if !we_are_root() {
        eprintln!("skipped: only root can be somebody else");
        return;
    }
    let folder = Folder::new();
    // A copy, because another user may not be able to enter the build folder.
    let program = folder.join("embedded-hold");
    // By another process: one that a test beside this starts meanwhile inherits our files, and a program that somebody may write to
    // cannot be run.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_embedded-hold")).arg(&program).status().expect("it can be started");
    assert!(copied.success(), "it can be copied");
    let run = |dir: &Path| {
        let output = Command::new(&program).arg(dir).uid(4711).gid(4711).output();
        let output = output.expect("it runs");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).trim().to_owned()
    };
    let error = run(&folder.join(".rawops"));
    says(&error, &["no permission to write in", "chmod u+rwx", "run from a folder of your own"]);
    let closed = folder.join("closed");
    fs::create_dir(&closed).expect("ours");
    std::os::unix::fs::chown(&closed, Some(4711), Some(4711)).expect("we are root");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o500);
    fs::set_permissions(&closed, mode).expect("we are root");
    says(&run(&closed), &["no permission to write in", "closed"]);
}

/// Makes a made-up data folder pass for one that the server's account has made.
fn give_to_server(path: &Path) {
    if we_are_root() {
        let uid = server_uid();
        std::os::unix::fs::chown(path, Some(uid), Some(uid)).expect("we are root");
    }
}

fn server_uid() -> u32 {
    let passwd = fs::read_to_string("/etc/passwd").expect("is there");
    let of = |name: &str| {
        let line = passwd.lines().find(|line| line.starts_with(name))?;
        line.split(':').nth(2)?.parse().ok()
    };
    of("postgres:").or_else(|| of("nobody:")).expect("one of them exists")
}
