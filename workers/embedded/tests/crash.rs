//! After a crash the next run picks up what is there.

use std::fs;
use std::process::{Command, Stdio};

use embedded::{Cluster, Options};

use crate::support::{Folder, Holder, ensure, kill_9, psql, runs, sql, until, we_are_root};

#[test]
fn a_killed_postmaster_loses_no_committed_row() {
    let folder = Folder::new();
    let mut cluster = Cluster::start(&Options::kept(folder.path())).expect("starts");
    sql(&cluster, "create table kept as select generate_series(1, 1000) n");
    cluster.kill().expect("kills");
    assert!(cluster.recover().expect("recovers"), "it had to be started");
    assert_eq!(sql(&cluster, "select count(*) from kept"), "1000");
    assert!(!cluster.recover().expect("looks"), "it runs");
    cluster.kill().expect("kills");
    drop(cluster);
    let (cluster, steps) = ensure(&Options::kept(folder.path()));
    assert_eq!(steps, ["find", "start"]);
    assert_eq!(sql(&cluster, "select count(*) from kept"), "1000");
}

#[test]
fn a_zombie_postmaster_does_not_block_the_next_start() {
    let folder = Folder::new();
    let options = Options::kept(folder.path());
    let holder = Holder::start(folder.path());
    let (mut cluster, _) = ensure(&options);
    let pid = cluster.postmaster_pid().expect("runs");
    // The holder is its parent and does not look, so it stays a zombie.
    kill_9(pid);
    until("the postmaster is a zombie", || !runs(pid));
    assert!(cluster.recover().expect("recovers"));
    assert_ne!(cluster.postmaster_pid(), Some(pid));
    sql(&cluster, "select 1");
    drop(cluster);
    holder.leave();
}

#[test]
fn a_query_that_survives_its_postmaster_does_not_block_the_next_start() {
    let folder = Folder::new();
    let mut cluster = Cluster::start(&Options::kept(folder.path())).expect("starts");
    let endless = "select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b";
    let mut client = psql(&cluster, endless).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("psql runs");
    let running = "select count(*) from pg_stat_activity where state = 'active' and query like '%100000%'";
    until("the query runs", || sql(&cluster, running) == "2");
    cluster.kill().expect("kills");
    assert!(cluster.recover().expect("recovers"));
    assert_eq!(sql(&cluster, running), "1", "this session alone");
    client.wait().expect("our child");
}

#[test]
fn a_number_that_went_to_a_stranger_does_not_block_the_next_start() {
    let folder = Folder::new();
    let options = Options::kept(folder.path());
    let mut cluster = Cluster::start(&options).expect("starts");
    let pid_file = cluster.data_dir().join("postmaster.pid");
    cluster.kill().expect("kills");
    // Under the server's account: only such a process makes the server think of itself.
    let mut sleep = Command::new("sleep");
    if we_are_root() {
        use std::os::unix::fs::MetadataExt;
        use std::os::unix::process::CommandExt;
        sleep.uid(fs::metadata(cluster.data_dir()).expect("exists").uid());
    }
    let mut stranger = sleep.arg("600").spawn().expect("sleep runs");
    let text = fs::read_to_string(&pid_file).expect("a crash leaves it");
    let (_, rest) = text.split_once('\n').expect("several lines");
    fs::write(&pid_file, format!("{}\n{rest}", stranger.id())).expect("can be written");
    assert!(cluster.recover().expect("recovers"));
    drop(cluster);
    assert!(runs(stranger.id()), "no stranger is ever signalled");
    stranger.kill().expect("our child");
    stranger.wait().expect("our child");
}

#[test]
fn a_copied_folder_is_a_cluster_of_its_own() {
    let folder = Folder::new();
    let (original, _) = ensure(&Options::kept(folder.join("a")));
    sql(&original, "checkpoint");
    let status = Command::new("cp").arg("-a").arg(folder.join("a")).arg(folder.join("b")).status();
    assert!(status.expect("cp runs").success());
    let (copy, steps) = ensure(&Options::kept(folder.join("b")));
    assert_eq!(steps, ["find", "start"]);
    assert_ne!(copy.postmaster_pid(), original.postmaster_pid());
    drop(copy);
    sql(&original, "select 1");
}

#[test]
fn a_cleaned_temporary_folder_costs_one_restart() {
    let folder = Folder::new();
    let options = Options::throwaway(folder.path());
    let (mut cluster, _) = ensure(&options);
    fs::remove_dir_all(cluster.socket_dir()).expect("ours");
    assert!(cluster.recover().expect("recovers"));
    sql(&cluster, "select 1");
}

#[test]
fn a_throwaway_cluster_that_no_longer_starts_is_made_anew() {
    let folder = Folder::new();
    let options = Options::throwaway(folder.path());
    let (cluster, _) = ensure(&options);
    let control = cluster.data_dir().join("global/pg_control");
    drop(cluster);
    fs::write(control, "a power cut").expect("can be written");
    let (cluster, steps) = ensure(&options);
    assert_eq!(steps, ["find", "initdb", "start"]);
    sql(&cluster, "select 1");
}

#[test]
fn a_kept_cluster_that_no_longer_starts_is_left_as_it_is() {
    let folder = Folder::new();
    let options = Options::kept(folder.path());
    let (cluster, _) = ensure(&options);
    let control = cluster.data_dir().join("global/pg_control");
    drop(cluster);
    fs::write(&control, "a power cut").expect("can be written");
    let error = embedded::ensure(&options, |_, _| {}).expect_err("it is broken").to_string();
    assert!(error.contains("did not start") && error.contains("postgres.log"), "{error}");
    assert_eq!(fs::read_to_string(control).expect("is there"), "a power cut");
}
