//! The engine's examples do what they say, in a database with nothing but the engine in it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::{Child, Command};

use super::alone::migrate;
use crate::cli::program::{code, signal};
use crate::support::{Database, ledger, wait::until};

const LIMIT: Duration = Duration::from_mins(1);

/// Those that end by themselves, and what they print.
const SAY: [(&str, &str); 4] = [
    ("custom_category", "Some(Completed("),
    ("limit", "the last export: Some(Completed("),
    ("transaction", "counted: "),
    ("workflow_with_signal", "Some(Completed(Object {\"sent\": String(\"parcel of request 1-"),
];

/// Where the examples are, beside this program; built as this program was, which changes nothing after a whole build.
async fn folder() -> PathBuf {
    let own = std::env::current_exe().expect("a running program has a path");
    let profile = own.ancestors().nth(2).expect("a folder of the profile");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--workspace", "--examples", "--quiet"]);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().await.expect("cargo can be run").success(), "the examples can be built");
    profile.join("examples")
}

fn start(folder: &Path, name: &str, db: &Database) -> Child {
    let mut example = Command::new(folder.join(name));
    example.arg("Ada").env("DATABASE_URL", db.url()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    example.spawn().unwrap_or_else(|error| panic!("{name}: {error}"))
}

async fn said(example: Child, name: &str) -> String {
    let ended = example.wait_with_output().await.expect("it ends");
    assert_eq!(code(ended.status), 0, "{name}: {}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).expect("it prints UTF-8")
}

#[tokio::test]
async fn every_example_runs_and_does_what_it_says() {
    let folder = folder().await;
    let db = Database::empty().await;
    migrate(db.pool(), |_, name| name.contains("_engine_")).await;
    let job = start(&folder, "job", &db);
    until("the job is done", LIMIT, async || ledger::outcome(db.pool(), "completed").await == 1).await;
    signal(&job, "INT");
    assert!(said(job, "job").await.ends_with("Hello, Ada, from attempt 1 of job 1\n"));
    for (name, words) in SAY {
        let db = Database::empty().await;
        migrate(db.pool(), |_, name| name.contains("_engine_")).await;
        let printed = said(start(&folder, name, &db), name).await;
        assert!(printed.contains(words), "{name}: {printed}");
        ledger::check(db.pool()).await;
    }
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
