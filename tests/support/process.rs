//! Worker processes that can be killed, stopped and continued: this test binary, started again as a worker.

use std::{
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use engine::{
    Worker, WorkerConfig,
    failpoint::{self, Act, Side},
};
use sqlx::postgres::PgConnectOptions;
use tokio_util::sync::CancellationToken;

const DATABASE: &str = "RAWOPS_TEST_WORKER_DATABASE";
const NAME: &str = "RAWOPS_TEST_WORKER_NAME";
const CONCURRENCY: &str = "RAWOPS_TEST_WORKER_CONCURRENCY";
const BATCH: &str = "RAWOPS_TEST_WORKER_BATCH";
const LEASE_MS: &str = "RAWOPS_TEST_WORKER_LEASE_MS";
const STALL_MS: &str = "RAWOPS_TEST_WORKER_STALL_MS";
const POOL: &str = "RAWOPS_TEST_WORKER_POOL";
const POOLER: &str = "RAWOPS_TEST_WORKER_POOLER";
const GRACE_MS: &str = "RAWOPS_TEST_WORKER_GRACE_MS";
/// `statement side count`: the place at which it kills itself, and at which time of coming there.
const DIE_AT: &str = "RAWOPS_TEST_WORKER_DIE_AT";
const OUTSIDE: &str = "RAWOPS_TEST_WORKER_CUSTOMERIO";
const MAILS_PER_SECOND: &str = "RAWOPS_TEST_WORKER_MAILS_PER_SECOND";
const SLACK: &str = "RAWOPS_TEST_WORKER_SLACK";
const OTHERS: &str = "RAWOPS_TEST_WORKER_OTHERS";
/// Set by a person, to read what workers log.
const LOG: &str = "RAWOPS_TEST_WORKER_LOG";

/// What a worker process is told.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    url: String,
    name: Option<String>,
    concurrency: usize,
    batch: usize,
    lease: Duration,
    stall_limit: Duration,
    grace: Duration,
    address_space_kib: Option<u64>,
    clock: Option<String>,
    die_at: Option<String>,
    pool: u32,
    pooler: bool,
    customerio: Option<(String, f64)>,
    slack: Vec<String>,
    others: [String; 3],
}

impl WorkerOptions {
    /// A worker of the test kinds on a database, with the engine's defaults.
    pub fn new(url: impl Into<String>) -> Self {
        let WorkerConfig { concurrency, batch, lease, stall_limit, grace, .. } = WorkerConfig::default();
        Self {
            url: url.into(),
            name: None,
            concurrency,
            batch,
            lease,
            stall_limit,
            grace,
            address_space_kib: None,
            clock: None,
            die_at: None,
            pool: 12,
            pooler: false,
            customerio: None,
            slack: Vec::new(),
            others: Default::default(),
        }
    }

    /// The same name for every process started with this; by default each has its own.
    pub fn name(self, name: &str) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// How many jobs run at once.
    pub fn concurrency(self, concurrency: usize) -> Self {
        Self { concurrency, ..self }
    }

    /// The most jobs one claim takes.
    pub fn batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// How long the lease lasts.
    pub fn lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// How long handlers may block its runtime.
    pub fn stall_limit(self, stall_limit: Duration) -> Self {
        Self { stall_limit, ..self }
    }

    /// How long a shutdown waits for running jobs.
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// The memory that it can have before an allocation fails.
    pub fn address_space_kib(self, kib: u64) -> Self {
        Self { address_space_kib: Some(kib), ..self }
    }

    /// How far its clock is off, such as `+1d`. The test that calls this needs libfaketime.
    pub fn clock(self, offset: &str) -> Self {
        Self { clock: Some(offset.into()), ..self }
    }

    /// Where it kills itself, before or after a statement of the engine, when it comes there for the `n`th time.
    pub fn die_at(self, statement: &str, side: Side, n: u32) -> Self {
        Self { die_at: Some(format!("{statement} {side:?} {n}")), ..self }
    }

    /// How many connections its handlers share.
    pub fn pool(self, pool: u32) -> Self {
        Self { pool, ..self }
    }

    /// The address is that of a pooler in transaction mode.
    pub fn pooler(self) -> Self {
        Self { pooler: true, ..self }
    }

    /// Of the product's kinds instead, with Customer.io at this address, and so many mails a second.
    pub fn customerio(self, url: &str, mails_per_second: f64) -> Self {
        Self { customerio: Some((url.into(), mails_per_second)), ..self }
    }

    /// Of the product's kinds instead, with these systems outside.
    pub fn outside(self, outside: &super::Outside) -> Self {
        Self { slack: outside.webhooks(), others: outside.others(), ..self.customerio(outside.customerio.url(), 100_000.0) }
    }

    /// Starts it.
    pub fn start(&self) -> WorkerProcess {
        let program = std::env::current_exe().expect("a running program has a path");
        let limit = self.address_space_kib.map(|kib| format!("ulimit -v {kib};")).unwrap_or_default();
        let mut command = Command::new("/bin/sh");
        command
            // A worker that aborts on purpose leaves no core file.
            .args(["-c", &format!("ulimit -c 0; {limit} exec \"$0\" \"$@\"")])
            .arg(program)
            .args(["support::process::a_process_started_as_a_worker_works", "--exact", "--nocapture", "--test-threads=1"])
            .env(DATABASE, &self.url)
            .env(CONCURRENCY, self.concurrency.to_string())
            .env(BATCH, self.batch.to_string())
            .env(LEASE_MS, self.lease.as_millis().to_string())
            .env(STALL_MS, self.stall_limit.as_millis().to_string())
            .env(GRACE_MS, self.grace.as_millis().to_string())
            .env(POOL, self.pool.to_string())
            .env(POOLER, if self.pooler { "transaction" } else { "" })
            // Each arena of malloc reserves 64 MB of address space, whatever is used of it.
            .env("MALLOC_ARENA_MAX", "2")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(if std::env::var_os(LOG).is_some() { Stdio::inherit() } else { Stdio::null() });
        if let (Some(offset), Some(library)) = (&self.clock, option_env!("FAKETIME_LIBRARY")) {
            command.env("LD_PRELOAD", library).env("FAKETIME", offset).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        if let Some(place) = &self.die_at {
            command.env(DIE_AT, place);
        }
        if let Some((url, rate)) = &self.customerio {
            command
                .env(OUTSIDE, url)
                .env(MAILS_PER_SECOND, rate.to_string())
                .env(SLACK, self.slack.join(" "))
                .env(OTHERS, self.others.join(" "));
        }
        if let Some(name) = &self.name {
            command.env(NAME, name);
        }
        WorkerProcess(command.spawn().expect("this program can be started again"))
    }

    /// Starts `n` of them.
    pub fn start_many(&self, n: usize) -> Vec<WorkerProcess> {
        (0..n).map(|_| self.start()).collect()
    }
}

/// One worker process. Killed when dropped.
pub struct WorkerProcess(Child);

impl WorkerProcess {
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

/// Not a test of its own: what [`WorkerOptions::start`] runs. Without its variables it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_started_as_a_worker_works() {
    let Ok(url) = std::env::var(DATABASE) else { return };
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok()).expect("the parent sets every number");
    if std::env::var_os(LOG).is_some() {
        let _ = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).try_init();
    }
    if let Ok(place) = std::env::var(DIE_AT) {
        die_there(&place);
    }
    let pooled = std::env::var(POOLER).is_ok_and(|mode| mode == "transaction");
    let config = WorkerConfig {
        name: std::env::var(NAME).unwrap_or_else(|_| format!("test {}", std::process::id())),
        queues: if std::env::var_os(OUTSIDE).is_some() { Vec::new() } else { vec!["default".into()] },
        concurrency: number(CONCURRENCY),
        batch: number(BATCH),
        lease: Duration::from_millis(number(LEASE_MS) as u64),
        stall_limit: Duration::from_millis(number(STALL_MS) as u64),
        grace: Duration::from_millis(number(GRACE_MS) as u64),
        listen: !pooled,
        ..WorkerConfig::default()
    };
    let mut options: PgConnectOptions = url.parse().expect("the parent's url is one");
    if pooled {
        options = engine::pooler::through(options).await.expect("the translator begins");
    }
    let pool =
        engine::pool_options().max_connections(number(POOL) as u32).acquire_timeout(Duration::from_secs(5)).connect_lazy_with(options);
    let stop = CancellationToken::new();
    let on_term = stop.clone();
    tokio::spawn(async move {
        let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("signals can be heard");
        term.recv().await;
        on_term.cancel();
    });
    let kinds = match std::env::var(OUTSIDE) {
        Ok(customerio) => {
            let rate = std::env::var(MAILS_PER_SECOND).ok().and_then(|rate| rate.parse().ok());
            let slack: Vec<String> = std::env::var(SLACK).unwrap_or_default().split_whitespace().map(str::to_owned).collect();
            if slack.is_empty() {
                super::outside::mailing(&customerio, rate.expect("the parent sets it with the address"))
            } else {
                let others: Vec<String> = std::env::var(OTHERS).unwrap_or_default().split_whitespace().map(str::to_owned).collect();
                let others = others.try_into().expect("the parent sets each of them");
                super::outside::with(&super::outside::settings(&customerio, &slack, &others))
            }
        }
        Err(_) => super::kinds::kinds(),
    };
    Worker::new(pool, kinds, config).run(stop).await.expect("a worker's configuration is right");
}

/// Kills this process with -9 at a place.
fn die_there(place: &str) {
    let mut words = place.rsplitn(3, ' ');
    let count: u32 = words.next().and_then(|word| word.parse().ok()).expect("the parent says how often");
    let side = words.next().expect("the parent says which side").to_string();
    let statement = words.next().expect("the parent says where").to_string();
    let reached = AtomicU32::new(0);
    let first = failpoint::install(move |name, at| {
        if name == statement && format!("{at:?}") == side && reached.fetch_add(1, Ordering::Relaxed) + 1 == count {
            let _ = Command::new("kill").args(["-KILL", &std::process::id().to_string()]).status();
        }
        Act::Go
    });
    assert!(first, "a process has one place to die at");
}
