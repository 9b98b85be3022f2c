//! The cluster of a checkout's tests: one for all test binaries, fast and without promises.
//!
//! Call [`shared`] with a folder that all tests of the checkout share, for example `pg` in
//! `CARGO_TARGET_TMPDIR`. The first process to call it makes the cluster, the others attach, and
//! the last one out stops it. A test binary ends without dropping its statics; the watcher process
//! that every cluster has (see `watcher.rs`) notices the end of the process by a pipe that the kernel
//! closes, so a test that panics, aborts or is killed leaves no server behind either.
//!
//! The data stays for the next run: a template database with all migrations is worth keeping.
//! Databases are the caller's business; connect to `cluster.url("postgres")` to create them.

use std::path::Path;
use std::sync::OnceLock;

use crate::discover::Request;
use crate::environment::Environment;
use crate::{Cluster, Error, Options};

/// The cluster for the tests of this process, up for as long as the process lives. The first call
/// brings it up and prints to standard error what took how long; later calls return the same
/// cluster, whatever folder they name.
///
/// Each of the choices that `RAWOPS_PG` and `RAWOPS_PG_BIN` allow has a folder of its own below
/// `dir`, so that one checkout can be tested with several servers in turn.
///
/// # Errors
/// When there is no server or it does not start; the next call tries again.
pub fn shared(dir: &Path) -> Result<&'static Cluster, Error> {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    static STARTING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one_at_a_time = STARTING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(cluster) = CLUSTER.get() {
        return Ok(cluster);
    }
    let environment = Environment::of_process();
    let choice = Request::read(&environment)?.label();
    let options = Options::throwaway(dir.join(choice)).environment(environment);
    let cluster = crate::ensure(&options, |step, took| {
        eprintln!("{step} ({} ms)", took.as_millis());
    })?;
    Ok(CLUSTER.get_or_init(|| cluster))
}
