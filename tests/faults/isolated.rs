//! Handlers that would take the worker with them, in processes of their own: each fails by itself, and says how.

use std::{
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use engine::{
    Category, Client, Failure, Isolation, Job, JobId, JobResult, Kinds, NewJob, Outcome, Run, Worker, WorkerConfig, store::cancel_request,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio_util::sync::CancellationToken;

use crate::engine::jobs::{Running, of, until_state};
use crate::support::{Database, kinds::NoOp, wait};

/// Misbehaves in a process of its own.
#[derive(Serialize, Deserialize)]
struct Caged {
    how: String,
}

impl Job for Caged {
    const KIND: &'static str = "test.caged";
    const ISOLATED: Option<Isolation> = Some(Isolation { memory_mib: 256, cpu_seconds: 1 });

    async fn run(&self, run: &mut Run) -> JobResult {
        match self.how.as_str() {
            "answer" => {
                let page = "all work and no play ".repeat(50_000);
                (0..10).for_each(|_| println!("{page}"));
                let input = std::io::read_to_string(std::io::stdin()).expect("it is empty, and not its worker's");
                let url = std::env::var("DATABASE_URL").ok();
                Ok(Outcome::Done(json!({ "job": run.job_id(), "kind": run.kind(), "url": url, "input": input })))
            }
            "refuse" => Err(Failure::new(Category::Other("odd_file"), "page 7 is upside down").retry_after(Duration::from_secs(90))),
            "write" => run.begin().await?.commit().await.map(|()| Outcome::done()),
            "abort" => std::process::abort(),
            "exit" => std::process::exit(3),
            "panic" => panic!("on purpose"),
            "stack" => Ok(Outcome::Done(json!(dig(0)))),
            "memory" => Ok(Outcome::Done(json!(devour()))),
            "spin" => loop {
                std::hint::black_box(());
            },
            "flood" => Ok(Outcome::Done(json!("all work and no play ".repeat(250_000)))),
            "take its time" => {
                tokio::time::sleep(Duration::from_secs(3)).await;
                Ok(Outcome::done())
            }
            "leave" => Ok(Outcome::Done(json!(start_sleep()))),
            pid_file => {
                std::fs::write(pid_file, format!("{} {}", std::process::id(), start_sleep())).expect("a file can be written");
                std::future::pending().await
            }
        }
    }
}

#[expect(unconditional_recursion, reason = "it is here to overflow the stack")]
fn dig(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 512]);
    dig(here[0] + 1) + here[511]
}

fn devour() -> usize {
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        held.push(std::hint::black_box(vec![1; 16 << 20]));
        if held.len() > 1 << 12 {
            return held.len();
        }
    }
}

/// Starts a process that nobody waits for and that holds what it inherits; its number.
fn start_sleep() -> u32 {
    tokio::process::Command::new("sleep").arg("600").spawn().expect("it can be started").id().expect("it runs")
}

/// The arguments with which this program does the job of a child.
const CHILD: [&str; 4] = ["faults::isolated::a_process_started_for_a_job_runs_it_and_ends", "--exact", "--nocapture", "--test-threads=1"];

fn kinds() -> Kinds {
    Kinds::new().with::<Caged>().with::<NoOp>().isolated_with(CHILD)
}

/// What this test binary does when a worker starts it again for a job; of itself, nothing.
#[tokio::test]
async fn a_process_started_for_a_job_runs_it_and_ends() {
    engine::isolated::serve(&kinds()).await;
    assert!(std::env::var_os("RAWOPS_ISOLATED_JOB").is_none(), "such a process ends there");
}

/// The arguments with which this program forgets what it was started for.
const FORGETFUL: [&str; 4] =
    ["faults::isolated::a_program_that_serves_no_job_runs_no_worker_either", "--exact", "--nocapture", "--test-threads=1"];

#[tokio::test]
async fn a_program_that_serves_no_job_runs_no_worker_either() {
    if std::env::var_os("RAWOPS_ISOLATED_JOB").is_some() {
        // This is the program, started for a job.
        let nowhere = PgPoolOptions::new().connect_lazy("postgres://isolated.invalid/none").expect("it is an address");
        let ended = Worker::new(nowhere, kinds(), WorkerConfig::default()).run(CancellationToken::new()).await;
        eprintln!("{}", ended.expect_err("it is no worker"));
        std::process::exit(1);
    }
    let db = Database::new().await;
    let id = Client::new(db.pool().clone()).enqueue(&caged("answer").max_attempts(1)).await.expect("enqueued").id;
    let kinds = Kinds::new().with::<Caged>().isolated_with(FORGETFUL);
    let worker = Running::with(db.pool(), kinds, WorkerConfig::default());
    until_state(db.pool(), id, "dead").await;
    worker.stop().await;
    let (category, error) = told(db.pool(), id).await;
    assert_eq!(category, "bug", "{error}");
    assert!(error.contains("call engine::isolated::serve first thing in main"), "{error}");
}

fn caged(how: &str) -> NewJob {
    of(&Caged { how: how.into() })
}

async fn worker(db: &Database) -> Running {
    sqlx::query("update engine.retry_config set max_attempts = 1, alert_on_attempt = null, escalate_on_attempt = null")
        .execute(db.pool())
        .await
        .expect("nothing is tried again");
    Running::with(db.pool(), kinds(), WorkerConfig { concurrency: 8, ..WorkerConfig::default() })
}

async fn told(pool: &PgPool, id: JobId) -> (String, String) {
    sqlx::query_as("select category, error from engine.job_state where id = $1").bind(id).fetch_one(pool).await.expect("it failed")
}

#[tokio::test]
async fn a_handler_that_exits_overflows_spins_or_eats_all_memory_fails_by_itself() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let ways = [
        ("abort", "bug", "ended by signal 6"),
        ("exit", "bug", "exited its process with code 3"),
        ("panic", "bug", "the handler panicked: on purpose"),
        ("stack", "bug", "has overflowed its stack"),
        ("memory", "bug", "memory allocation of"),
        ("spin", "timeout", "used 1 s of processor time"),
        ("flood", "bug", "answered more than"),
        ("write", "bug", "an isolated job has no database"),
        ("refuse", "odd_file", "page 7 is upside down"),
    ];
    let jobs: Vec<NewJob> = ways.iter().map(|(how, ..)| caged(how)).chain((0..100).map(|n| of(&NoOp { n }))).collect();
    let ids: Vec<JobId> = client.enqueue_many(&jobs).await.expect("enqueued").into_iter().flatten().collect();
    let worker = worker(&db).await;
    wait::until("all have ended", Duration::from_mins(1), || async {
        let ended: i64 = sqlx::query_scalar("select count(*) from engine.attempt").fetch_one(db.pool()).await.expect("a count");
        ended == ids.len() as i64
    })
    .await;
    worker.stop().await;
    for ((how, category, words), id) in ways.iter().zip(&ids) {
        let (given, error) = told(db.pool(), *id).await;
        assert_eq!(given, *category, "{how}: {error}");
        assert!(error.contains(words), "{how}: {error}");
        assert!(error.len() < 20_000, "{how}: its words are bounded");
    }
    let unharmed: i64 =
        sqlx::query_scalar("select count(*) from engine.attempt where outcome = 'completed'").fetch_one(db.pool()).await.expect("a count");
    assert_eq!(unharmed, 100, "neighbours");
    let lost: i64 = sqlx::query_scalar("select count(*) from engine.attempt where outcome in ('lost', 'released')")
        .fetch_one(db.pool())
        .await
        .expect("a count");
    assert_eq!(lost, 0, "the worker never died");
}

#[tokio::test]
async fn an_isolated_job_answers_and_knows_no_secret_of_its_worker() {
    let db = Database::new().await;
    let id = Client::new(db.pool().clone()).enqueue(&caged("answer")).await.expect("enqueued").id;
    let worker = worker(&db).await;
    until_state(db.pool(), id, "completed").await;
    worker.stop().await;
    let output: Value =
        sqlx::query_scalar("select output from engine.job_state where id = $1").bind(id).fetch_one(db.pool()).await.expect("its output");
    assert_eq!(output, json!({ "job": id.to_string(), "kind": Caged::KIND, "url": null, "input": "" }), "whatever it printed");
}

/// A file for a handler to write numbers of processes into.
fn pid_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pid"))
}

/// What a handler wrote there: its process, and the one that it started. The file is removed.
async fn pids_in(pid_file: &Path) -> Vec<u32> {
    wait::until("it runs", Duration::from_secs(20), || async { std::fs::read_to_string(pid_file).is_ok_and(|pid| !pid.is_empty()) }).await;
    let pids = std::fs::read_to_string(pid_file).expect("their numbers");
    std::fs::remove_file(pid_file).expect("the file can be removed");
    pids.split(' ').map(|pid| pid.parse().expect("a number")).collect()
}

fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

async fn until_gone(pids: &[u32]) {
    wait::until("the processes are gone", Duration::from_secs(5), || async { !pids.iter().any(|pid| is_alive(*pid)) }).await;
}

#[tokio::test]
async fn a_process_that_a_handler_leaves_behind_ends_with_its_answer_and_holds_nothing_up() {
    let db = Database::new().await;
    let id = Client::new(db.pool().clone()).enqueue(&caged("leave")).await.expect("enqueued").id;
    let worker = worker(&db).await;
    until_state(db.pool(), id, "completed").await;
    worker.stop().await;
    let left: Value =
        sqlx::query_scalar("select output from engine.job_state where id = $1").bind(id).fetch_one(db.pool()).await.expect("its output");
    until_gone(&[left.as_u64().expect("a number") as u32]).await;
}

/// A process for a job whose worker is this test: it, the way to it, and the numbers of the processes that are to end.
async fn child(name: &str, silence_ms: u64) -> (Child, ChildStdin, Vec<u32>) {
    let pid_file = pid_file(&format!("{name}_{}", std::process::id()));
    let args = json!({ "how": pid_file }).to_string();
    let limits = Caged::ISOLATED.expect("it is isolated");
    let order = json!(["mark", {
        "kind": Caged::KIND, "args": args, "worker_id": 1, "job_id": JobId(1), "attempt": 1, "trace": null, "limits": limits,
        "silence_ms": silence_ms
    }]);
    let mut child = Command::new(std::env::current_exe().expect("a running program has a path"))
        .args(CHILD)
        .env("RAWOPS_ISOLATED_JOB", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("this program can be started again");
    let mut worker = child.stdin.take().expect("it is piped");
    writeln!(worker, "{order}").expect("it reads");
    (child, worker, pids_in(&pid_file).await)
}

#[tokio::test]
async fn what_a_handler_started_does_not_outlive_the_worker() {
    let (mut child, worker, pids) = child("orphan", 60_000).await;
    drop(worker);
    child.wait().expect("it ends");
    until_gone(&pids).await;
}

#[tokio::test]
async fn a_process_whose_worker_gives_no_sign_of_life_ends_and_says_so() {
    let (mut child, mut worker, pids) = child("abandoned", 3000).await;
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        writeln!(worker).expect("it listens");
    }
    assert!(pids.iter().all(|pid| is_alive(*pid)), "it heard of its worker");
    until_gone(&pids).await;
    let ended = child.wait().expect("it ends");
    let answer = std::io::read_to_string(child.stdout.take().expect("it is piped")).expect("text");
    assert!(answer.lines().any(|line| line == "mark\"abandoned\""), "{answer}");
    assert!(!ended.success());
    drop(worker);
}

#[tokio::test]
async fn a_worker_gives_its_isolated_jobs_signs_of_life() {
    let db = Database::new().await;
    let id = Client::new(db.pool().clone()).enqueue(&caged("take its time")).await.expect("enqueued").id;
    let worker = worker(&db).await;
    until_state(db.pool(), id, "completed").await;
    worker.stop().await;
    let attempts: i64 = sqlx::query_scalar("select count(*) from engine.attempt").fetch_one(db.pool()).await.expect("a count");
    assert_eq!(attempts, 1, "it took longer than its worker's lease lasts, and was not given back");
}

#[tokio::test]
async fn the_process_of_a_cancelled_job_is_gone_with_what_it_started() {
    let db = Database::new().await;
    let pid_file = pid_file(db.name());
    let id = Client::new(db.pool().clone()).enqueue(&caged(&pid_file.display().to_string())).await.expect("enqueued").id;
    let worker = worker(&db).await;
    let pids = pids_in(&pid_file).await;
    cancel_request::cancel(db.pool(), id, "ann", None).await.expect("asked");
    until_state(db.pool(), id, "cancelled").await;
    until_gone(&pids).await;
    worker.stop().await;
}
