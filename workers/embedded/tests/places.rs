//! Where things are found and put.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use embedded::{Environment, Options};

use crate::support::{Folder, ensure, sql, we_are_root};

#[test]
fn the_path_of_the_socket_is_short_and_private() {
    let folder = Folder::new();
    let deep = folder.join(&format!("{0}/{0}/{0}", "d".repeat(60)));
    let long_temp = folder.join(&"t".repeat(90));
    fs::create_dir(&long_temp).expect("ours");
    let environment = Environment::of_process().with("TMPDIR", &long_temp);
    let options = Options::throwaway(deep).environment(environment);
    let (cluster, _) = ensure(&options);
    let socket = cluster.socket_dir().join(".s.PGSQL.5432");
    assert!(socket.exists());
    assert!(socket.as_os_str().len() <= 100, "{}", socket.display());
    assert!(socket.starts_with("/tmp"));
    let mode = fs::metadata(cluster.socket_dir()).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    sql(&cluster, "select 1");
}

#[test]
fn a_short_temporary_folder_holds_the_socket() {
    let folder = Folder::new();
    let temp = folder.join("t");
    fs::create_dir(&temp).expect("ours");
    let environment = Environment::of_process().with("TMPDIR", &temp);
    let options = Options::throwaway(folder.join("pg"));
    let (cluster, _) = ensure(&options.clone().environment(environment));
    assert!(cluster.socket_dir().starts_with(&temp));
    let (other, steps) = ensure(&options);
    assert_eq!(steps, ["attach"], "one with another temporary folder finds it");
    assert_eq!(other.url("x"), cluster.url("x"));
}

#[test]
fn two_names_of_a_folder_are_one_cluster() {
    let folder = Folder::new();
    fs::create_dir(folder.join("real")).expect("ours");
    symlink(folder.join("real"), folder.join("link")).expect("ours");
    let (_cluster, _) = ensure(&Options::throwaway(folder.join("real/pg")));
    let (_other, steps) = ensure(&Options::throwaway(folder.join("link/pg")));
    assert_eq!(steps, ["attach"]);
}

#[test]
fn a_folder_that_the_server_cannot_enter_is_replaced_by_one_that_it_can() {
    if !we_are_root() {
        eprintln!("skipped: only for root does the server run as somebody else");
        return;
    }
    let folder = Folder::new();
    let closed = folder.join("closed");
    fs::create_dir(&closed).expect("ours");
    fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).expect("ours");
    let (cluster, steps) = ensure(&Options::throwaway(closed.join("pg")));
    assert_eq!(steps, ["data", "find", "initdb", "start"]);
    let home = cluster.data_dir().parent().expect("has one").to_owned();
    assert!(home.starts_with("/var/lib"), "{}", home.display());
    assert_ne!(fs::metadata(cluster.data_dir()).expect("is there").uid(), 0);
    sql(&cluster, "select 1");
    drop(cluster);
    fs::remove_dir_all(home).expect("ours");
}

#[test]
fn a_server_named_by_variable_is_used() {
    let folder = Folder::new();
    let (cluster, _) = ensure(&Options::throwaway(folder.join("a")));
    let environment = Environment::of_process().with("RAWOPS_PG_BIN", cluster.bindir()).with_places(&[]);
    let options = Options::throwaway(folder.join("b")).environment(environment);
    let (named, _) = ensure(&options);
    assert_eq!(named.bindir(), cluster.bindir());
}

#[test]
fn settings_for_clients_do_not_reach_the_server() {
    let folder = Folder::new();
    let environment = Environment::of_process()
        .with("PGDATA", "/nonexistent")
        .with("PGOPTIONS", "-c work_mem=1MB")
        .with("PGPORT", "1")
        .with("LC_MESSAGES", "de_DE.UTF-8");
    let options = Options::throwaway(folder.path()).environment(environment);
    let (cluster, _) = ensure(&options);
    assert_eq!(sql(&cluster, "show port"), "5432");
}
