//! Several processes, one server.

use std::path::Path;
use std::thread;

use embedded::{Cluster, Options, Stopped};

use crate::support::{Folder, Holder, children, ensure, kill_9, runs, sql, until};

/// Waits for a postmaster's end: it takes its pid file away, which is what a stop waits for, a moment before.
fn until_gone(pid: u32) {
    until("the server has ended", || !runs(pid));
}

#[test]
fn the_last_process_out_stops_the_server() {
    let folder = Folder::new();
    let options = Options::kept(folder.path());
    let first = Holder::start(folder.path());
    let (cluster, steps) = ensure(&options);
    assert_eq!(steps, ["attach"]);
    let pid = cluster.postmaster_pid().expect("runs");
    first.leave();
    assert!(runs(pid), "this process still uses it");
    sql(&cluster, "select 1");
    assert!(Cluster::stop(cluster).expect("stops"));
    until_gone(pid);
}

#[test]
fn many_users_at_once_make_one_cluster() {
    let folder = Folder::new();
    let options = Options::throwaway(folder.path());
    let users: Vec<_> = (0..6)
        .map(|_| {
            let options = options.clone();
            thread::spawn(move || ensure(&options))
        })
        .collect();
    let users: Vec<_> = users.into_iter().map(|user| user.join().expect("no panic")).collect();
    let made = users.iter().filter(|(_, steps)| steps.contains(&"initdb".to_owned()));
    assert_eq!(made.count(), 1);
    let pids: Vec<_> = users.iter().map(|(cluster, _)| cluster.postmaster_pid()).collect();
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
    let mut last = 0;
    for (cluster, _) in users {
        last += u32::from(Cluster::stop(cluster).expect("stops"));
    }
    assert_eq!(last, 1, "one of them is the last one out");
}

#[test]
fn a_killed_owner_leaves_no_server_behind() {
    let folder = Folder::new();
    let holder = Holder::start(folder.path());
    let (cluster, _) = ensure(&Options::kept(folder.path()));
    let pid = cluster.postmaster_pid().expect("runs");
    let second = Holder::start(folder.path());
    drop(cluster);
    let watcher = children(holder.pid()).into_iter().find(|child| *child != pid);
    let watcher = watcher.expect("a watcher");
    holder.kill();
    until("the first owner's watcher has looked", || !runs(watcher));
    assert!(runs(pid), "the second still uses it");
    second.kill();
    until("the server is gone", || !runs(pid));
}

#[test]
fn a_server_without_owner_and_watcher_is_taken_over() {
    let folder = Folder::new();
    let options = Options::kept(folder.path());
    let holder = Holder::start(folder.path());
    let pid = postmaster_of(folder.path());
    for child in children(holder.pid()).into_iter().filter(|child| *child != pid) {
        kill_9(child);
    }
    holder.kill();
    assert!(runs(pid), "nobody was left to stop it");
    let (cluster, steps) = ensure(&options);
    assert_eq!(steps, ["attach"]);
    assert_eq!(cluster.postmaster_pid(), Some(pid));
    drop(cluster);
    until_gone(pid);
}

#[test]
fn a_server_without_owner_and_watcher_can_be_stopped() {
    let folder = Folder::new();
    let holder = Holder::start(folder.path());
    let pid = postmaster_of(folder.path());
    let watchers = children(holder.pid()).into_iter();
    watchers.filter(|child| *child != pid).for_each(kill_9);
    holder.kill();
    assert!(runs(pid));
    let stopped = embedded::stop(&Options::kept(folder.path())).expect("stops");
    assert_eq!(stopped, Stopped::Down);
    until_gone(pid);
}

#[test]
fn all_tests_of_a_process_share_the_scratch_cluster() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pg");
    let first = embedded::scratch::shared(&folder).expect("starts");
    let second = embedded::scratch::shared(&folder).expect("is there");
    assert!(std::ptr::eq(first, second));
    assert_eq!(sql(first, "show fsync"), "off");
}

/// The postmaster of the only data folder in a folder.
fn postmaster_of(dir: &Path) -> u32 {
    let entries = std::fs::read_dir(dir).expect("is there").flatten();
    let mut files = entries.map(|entry| entry.path().join("postmaster.pid"));
    let file = files.find(|file| file.exists()).expect("a server runs");
    let text = std::fs::read_to_string(file).expect("can be read");
    let first = text.lines().next().expect("a line");
    first.parse().expect("a number")
}
