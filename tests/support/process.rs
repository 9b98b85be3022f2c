//! Worker processes that can be killed, stopped and continued: this test binary, started again as a worker.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use engine::{Worker, WorkerConfig};
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;

const DATABASE: &str = "RAWOPS_TEST_WORKER_DATABASE";
const CONCURRENCY: &str = "RAWOPS_TEST_WORKER_CONCURRENCY";
const BATCH: &str = "RAWOPS_TEST_WORKER_BATCH";
const LEASE_MS: &str = "RAWOPS_TEST_WORKER_LEASE_MS";

/// One worker process. Killed when dropped.
pub struct WorkerProcess(Child);

impl WorkerProcess {
    /// Starts a worker of the test kinds on a database.
    pub fn start(url: &str, concurrency: usize, batch: usize, lease: Duration) -> Self {
        let program = std::env::current_exe().expect("a running program has a path");
        let child = Command::new(program)
            .args(["support::process::a_process_started_as_a_worker_works", "--exact", "--nocapture", "--test-threads=1"])
            .env(DATABASE, url)
            .env(CONCURRENCY, concurrency.to_string())
            .env(BATCH, batch.to_string())
            .env(LEASE_MS, lease.as_millis().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(if std::env::var_os("RAWOPS_TEST_WORKER_LOG").is_some() { Stdio::inherit() } else { Stdio::null() })
            .spawn()
            .expect("this program can be started again");
        Self(child)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Sends it a signal by name: `KILL`, `STOP`, `CONT`, `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().expect("kill can be run");
        assert!(sent.success(), "the worker is alive to get {name}");
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("a child can be asked").is_some()
    }

    /// Kills it with -9 and waits until it is gone.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // Already gone is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        self.end();
    }
}

/// Not a test of its own: what [`WorkerProcess::start`] runs. Without its variables it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_started_as_a_worker_works() {
    let Ok(url) = std::env::var(DATABASE) else { return };
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok()).expect("the parent sets every number");
    let _ = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).try_init();
    let config = WorkerConfig {
        name: format!("test {}", std::process::id()),
        queues: vec!["default".into()],
        concurrency: number(CONCURRENCY),
        batch: number(BATCH),
        lease: Duration::from_millis(number(LEASE_MS) as u64),
        ..WorkerConfig::default()
    };
    let pool = PgPoolOptions::new()
        .max_connections(12)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy(&url)
        .expect("the parent's url is one");
    let stop = CancellationToken::new();
    let on_term = stop.clone();
    tokio::spawn(async move {
        let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("signals can be heard");
        term.recv().await;
        on_term.cancel();
    });
    Worker::new(pool, super::kinds::kinds(), config).run(stop).await.expect("a worker's configuration is right");
}
