//! From nothing to a running cluster and back.

use embedded::{Cluster, Error, Options, Stopped};

use crate::support::{Folder, ensure, sql};

#[test]
fn a_first_run_makes_a_cluster_and_a_later_one_finds_it() {
    let folder = Folder::new();
    let options = Options::kept(folder.join("pg"));
    let (cluster, steps) = ensure(&options);
    assert_eq!(steps, ["find", "initdb", "start"]);
    sql(&cluster, "create table kept (n int); insert into kept values (7)");
    assert!(Cluster::stop(cluster).expect("stops"), "the only user stops the server");
    let (cluster, steps) = ensure(&options);
    assert_eq!(steps, ["find", "start"]);
    assert_eq!(sql(&cluster, "select n from kept"), "7");
    let pid = cluster.postmaster_pid().expect("runs");
    let (second, steps) = ensure(&options);
    assert_eq!(steps, ["attach"]);
    assert_eq!(second.postmaster_pid(), Some(pid));
    assert_eq!(second.url("a b"), cluster.url("a b"));
    assert_eq!(second.version(), cluster.version());
}

#[test]
fn a_kept_cluster_waits_for_the_disk_and_a_throwaway_one_does_not() {
    let folder = Folder::new();
    let settings = "select string_agg(setting, ' ' order by name) from pg_settings \
        where name in ('fsync', 'full_page_writes', 'listen_addresses', 'synchronous_commit')";
    let (kept, _) = ensure(&Options::kept(folder.join("kept")));
    assert_eq!(sql(&kept, settings), "on on  on");
    let (throwaway, _) = ensure(&Options::throwaway(folder.join("throwaway")));
    assert_eq!(sql(&throwaway, settings), "off off  off");
    assert_eq!(sql(&throwaway, "show max_connections"), "200");
}

#[test]
fn the_needed_extensions_are_there_and_fold_every_letter() {
    let folder = Folder::new();
    let (cluster, _) = ensure(&Options::throwaway(folder.path()));
    sql(&cluster, "create extension citext; create extension pg_trgm");
    assert_eq!(sql(&cluster, "select 'ÉCOLE'::citext = 'école'"), "t");
}

#[test]
fn an_unshared_cluster_takes_settings_and_can_be_restarted() {
    let folder = Folder::new();
    let options = Options::kept(folder.path()).setting("work_mem", "7MB");
    let mut cluster = Cluster::start(&options).expect("starts");
    assert_eq!(sql(&cluster, "show work_mem"), "7MB");
    let before = cluster.postmaster_pid();
    cluster.restart().expect("restarts");
    assert_ne!(cluster.postmaster_pid(), before);
    assert_eq!(sql(&cluster, "show work_mem"), "7MB");
    let shared = embedded::ensure(&options, |_, _| {});
    assert!(matches!(shared, Err(Error::Busy { .. })), "{shared:?}");
}

#[test]
fn a_server_in_use_is_not_stopped_from_outside() {
    let folder = Folder::new();
    let options = Options::throwaway(folder.path());
    let (cluster, _) = ensure(&options);
    assert_eq!(embedded::stop(&options).expect("looks"), Stopped::InUse);
    sql(&cluster, "select 1");
    drop(cluster);
    assert_eq!(embedded::stop(&options).expect("looks"), Stopped::Down);
}

#[test]
fn what_a_killed_initdb_left_is_made_again() {
    let folder = Folder::new();
    folder.write("data-new/PG_VERSION", "15\n");
    let (_cluster, steps) = ensure(&Options::throwaway(folder.path()));
    assert_eq!(steps, ["find", "initdb", "start"]);
    assert!(!folder.join("data-new").exists());
}
