//! The engine's examples do what they say, in a database with nothing but the engine in it.
//!
//! They are compiled in here; each runs in a process of its own, which is this program started again.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::process::{Child, Command};

use crate::cli::program::{code, signal};
use crate::support::{Database, ledger, wait::until};

#[path = "../../engine/examples/custom_category.rs"]
mod custom_category;
#[path = "../../engine/examples/job.rs"]
mod job;
#[path = "../../engine/examples/limit.rs"]
mod limit;
#[path = "../../engine/examples/testing.rs"]
mod testing;
#[path = "../../engine/examples/transaction.rs"]
mod transaction;
#[path = "../../engine/examples/workflow_with_signal.rs"]
mod workflow_with_signal;

const LIMIT: Duration = Duration::from_mins(1);
/// Tells a process which example it is.
const EXAMPLE: &str = "RAWOPS_TEST_EXAMPLE";

/// Those that end by themselves, and what they print.
const SAY: [(&str, &str); 5] = [
    ("custom_category", "Some(Completed("),
    ("limit", "the last export: Some(Completed("),
    ("testing", "the job does what it should: it completed 1 time"),
    ("transaction", "counted: "),
    ("workflow_with_signal", "Some(Completed(Object {\"sent\": String(\"parcel of request 1-"),
];

fn start(name: &str, db: &Database) -> Child {
    let mut example = Command::new(std::env::current_exe().expect("a running program has a path"));
    example.args(["engine::examples::a_process_started_as_an_example_is_one", "--exact", "--nocapture", "--test-threads=1"]);
    example.env(EXAMPLE, name).env("DATABASE_URL", db.url()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    example.spawn().unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn a_process_started_as_an_example_is_one() {
    let Ok(name) = std::env::var(EXAMPLE) else { return };
    let ended = match name.as_str() {
        "custom_category" => custom_category::main(),
        "job" => job::main(),
        "limit" => limit::main(),
        "testing" => testing::main(),
        "transaction" => transaction::main(),
        "workflow_with_signal" => workflow_with_signal::main(),
        other => panic!("there is no example {other}"),
    };
    ended.unwrap_or_else(|error| panic!("{name}: {error}"));
}

async fn said(example: Child, name: &str) -> String {
    let ended = example.wait_with_output().await.expect("it ends");
    assert_eq!(code(ended.status), 0, "{name}: {}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).expect("it prints UTF-8")
}

#[tokio::test]
async fn every_example_does_what_it_says() {
    for (name, words) in SAY {
        let db = Database::empty().await;
        let printed = said(start(name, &db), name).await;
        assert!(printed.contains(words), "{name}: {printed}");
        ledger::check(db.pool()).await;
    }
}

#[tokio::test]
async fn the_first_example_works_until_it_is_told_to_end() {
    let db = Database::empty().await;
    // It finds its tables there, and the test finds them too.
    migrations::run_engine(&mut db.pool().acquire().await.expect("a connection")).await.expect("it migrates");
    let job = start("job", &db);
    until("the job is done", LIMIT, async || ledger::outcome(db.pool(), "completed").await == 1).await;
    signal(&job, "INT");
    let printed = said(job, "job").await;
    assert!(printed.contains("job 1 enqueued\n") && printed.contains(", from attempt 1 of job 1\n"), "{printed}");
}

#[test]
fn no_example_is_left_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("engine/examples");
    let files = std::fs::read_dir(folder).expect("the folder can be read").map(|file| file.expect("an entry can be read").path());
    let mut names: Vec<String> = files.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    let mut run: Vec<&str> = SAY.iter().map(|(name, _)| *name).chain(["job"]).collect();
    run.sort_unstable();
    assert_eq!(names, run);
}
