//! Through PgBouncer in transaction mode, with fewer sessions of the server than clients: everything that the engine does.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use engine::{
    Client, NewJob, pooler,
    schedule::{Config, Schedule, Scheduler},
    store::{cancel_request, dead_letter},
};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::cli::program::{Answer, answer, command};
use crate::support::{
    Database, clock,
    database::cluster,
    kinds::{Fail, NoOp, Sleep, Snooze, Tick},
    ledger,
    process::WorkerOptions,
    wait::until,
};

const LIMIT: Duration = Duration::from_mins(1);
/// Sessions of the server that all clients share.
const SESSIONS: u32 = 3;
const HOURLY: Schedule = Schedule::of::<Tick>("hourly", "17 * * * *", chrono_tz::UTC, "For testing");

/// A PgBouncer in front of the tests' server; killed when dropped.
struct Bouncer {
    folder: PathBuf,
    owner: String,
    port: u16,
    process: Child,
}

impl Bouncer {
    async fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let sockets = cluster().socket_dir().to_path_buf();
        let owner = Command::new("stat").args(["-c", "%U"]).arg(&sockets).output().expect("stat can be run");
        let owner = String::from_utf8(owner.stdout).expect("a name").trim().to_string();
        let folder = std::env::temp_dir().join(format!("rawops-bouncer-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&folder).expect("a folder can be made");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port is free").port();
        let config = format!(
            "[databases]\n* = host={} port=5432 user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = {SESSIONS}\nmax_client_conn = 300\n",
            sockets.display()
        );
        fs::write(folder.join("pgbouncer.ini"), config).expect("the settings can be written");
        let mut bouncer = Self { process: Self::spawn(&folder, &owner), folder, owner, port };
        bouncer.until_it_answers().await;
        bouncer
    }

    fn spawn(folder: &Path, owner: &str) -> Child {
        let mut command = Command::new(env!("PGBOUNCER"));
        command.arg("-q").arg(folder.join("pgbouncer.ini")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // It refuses to run as root, and the server's sockets are their owner's.
        if Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n") {
            command.args(["-u", owner]);
        }
        command.spawn().expect("PgBouncer can be started")
    }

    async fn until_it_answers(&mut self) {
        let port = self.port;
        until("PgBouncer listens", Duration::from_secs(20), || async { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() })
            .await;
        assert!(self.process.try_wait().expect("a child can be asked").is_none(), "PgBouncer runs");
    }

    async fn restart(&mut self) {
        self.end();
        self.process = Self::spawn(&self.folder, &self.owner);
        self.until_it_answers().await;
    }

    fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    fn url(&self, db: &Database) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{}", self.port, db.name())
    }

    async fn pool(&self, db: &Database, connections: u32) -> PgPool {
        let options: PgConnectOptions = self.url(db).parse().expect("an address");
        let options = pooler::through(options).await.expect("the translator begins");
        PgPoolOptions::new().max_connections(connections).acquire_timeout(Duration::from_secs(20)).connect_lazy_with(options)
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        self.end();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Runs a command on a database behind a pooler of this mode.
async fn rawops_with(url: &str, words: &[&str], settings: &[(&str, &str)]) -> Answer {
    let mut command = command(words);
    command.env("DATABASE_URL", url).envs(settings.iter().copied());
    answer(command).await
}

fn of<J: engine::Job>(job: &J) -> NewJob {
    NewJob::of(job).expect("the arguments are JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_does_it_does_through_a_pooler_in_transaction_mode() {
    let (db, bouncer) = (Database::new().await, Bouncer::start().await);
    let pool = bouncer.pool(&db, 20).await;
    let client = Client::new(pool.clone());
    let workers = WorkerOptions::new(bouncer.url(&db)).pooler().concurrency(8).start_many(2);

    let jobs: Vec<NewJob> = (0..2000).map(|n| of(&NoOp { n }).unique_key(n.to_string())).collect();
    client.enqueue_many(&jobs).await.expect("in bulk");
    // Fifty at once on three sessions: what one client prepared another would trip over.
    let alone = (0..50).map(|n| {
        let client = client.clone();
        tokio::spawn(async move { client.enqueue(&of(&NoOp { n }).idempotency_key("test", n.to_string())).await.expect("alone").id })
    });
    for job in alone.collect::<Vec<_>>() {
        job.await.expect("no panic");
    }
    let again = client.enqueue(&of(&NoOp { n: 7 }).idempotency_key("test", "7")).await.expect("again");
    assert!(!again.created);
    let fails = client.enqueue(&of(&Fail { category: "conflict".into(), times: 2 })).await.expect("enqueued").id;
    let dies = client.enqueue(&of(&Fail { category: "validation".into(), times: 9 })).await.expect("enqueued").id;
    let snoozes = client.enqueue(&of(&Snooze { times: 3 })).await.expect("enqueued").id;
    let long = client.enqueue(&of(&Sleep { ms: 100_000 })).await.expect("enqueued").id;
    let is = async |id, state: &str| engine::store::job::show(&pool, id).await.expect("shown").standing.state == state;
    until("the long one runs", LIMIT, async || is(long, "running").await).await;
    cancel_request::cancel(&pool, long, "ann", None).await.expect("asked");
    for (id, state) in [(fails, "completed"), (snoozes, "completed"), (dies, "dead"), (long, "cancelled")] {
        until(&format!("{id} is {state}"), LIMIT, async || is(id, state).await).await;
    }
    let letter = dead_letter::list(&pool, &dead_letter::Filter::default(), 10).await.expect("listed").remove(0);
    dead_letter::requeue(&pool, letter.id, "ann", None).await.expect("requeued");

    clock::own(db.pool()).await;
    let mut scheduler = Scheduler::new(pool.clone(), [HOURLY], Config::default());
    scheduler.run_once(ledger::now(&pool).await).await.expect("the database answers");
    clock::step(db.pool(), 3600.0).await;
    assert_eq!(scheduler.run_once(ledger::now(&pool).await).await.expect("the database answers").fired, 1);

    ledger::all_ended(db.pool(), LIMIT).await;
    drop(workers);
    assert_eq!(ledger::outcome(db.pool(), "completed").await, 2000 + 50 + 2 + 1);
    let sessions = ledger::count(
        db.pool(),
        "select count(*) from pg_stat_activity where datname = current_database() and application_name like 'rawops%'",
    )
    .await;
    assert!(sessions <= i64::from(SESSIONS), "{sessions}");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_killed_behind_a_pooler_and_restarts_of_it_lose_nothing() {
    let (db, mut bouncer) = (Database::new().await, Bouncer::start().await);
    let options = WorkerOptions::new(bouncer.url(&db)).pooler().concurrency(4);
    let mut workers = options.start_many(2);
    let jobs: Vec<NewJob> = (0..400).map(|n| if n % 4 == 0 { of(&Sleep { ms: 50 }) } else { of(&NoOp { n }) }).collect();
    for round in 0..3 {
        Client::new(db.pool().clone()).enqueue_many(&jobs).await.expect("enqueued");
        let ended = async || ledger::outcome(db.pool(), "completed").await;
        until("some have ended", LIMIT, async || ended().await > round * 400 + 20).await;
        if round == 1 {
            bouncer.restart().await;
        } else {
            workers.remove(0).kill();
            workers.push(options.start());
        }
    }
    ledger::all_ended(db.pool(), LIMIT).await;
    assert_eq!(ledger::outcome(db.pool(), "completed").await, 1200);
    drop(workers);
    ledger::check(db.pool()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_handlers_share_one_connection_works_with_and_without_a_pooler() {
    let bouncer = Bouncer::start().await;
    for pooled in [false, true] {
        let db = Database::new().await;
        crate::support::kinds::make_effect_table(db.pool()).await;
        let options = if pooled { WorkerOptions::new(bouncer.url(&db)).pooler() } else { WorkerOptions::new(db.url()) };
        let worker = options.pool(1).concurrency(8).start();
        let effects: Vec<NewJob> = (0..100).map(|_| of(&crate::support::kinds::Effect { ms: 1 })).collect();
        Client::new(db.pool().clone()).enqueue_many(&effects).await.expect("enqueued");
        ledger::all_ended(db.pool(), LIMIT).await;
        assert_eq!(ledger::count(db.pool(), "select count(*) from test_effect").await, 100, "pooled: {pooled}");
        drop(worker);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_and_migrations_go_through_a_pooler_too() {
    let (db, bouncer) = (Database::empty().await, Bouncer::start().await);
    let url = bouncer.url(&db);
    let pooled = [("DATABASE_POOLER", "transaction")];
    rawops_with(&url, &["migrate"], &pooled).await.ok();
    Client::new(db.pool().clone()).enqueue(&of(&NoOp { n: 1 })).await.expect("enqueued");
    for _ in 0..3 {
        let jobs = rawops_with(&url, &["jobs", "list", "--json"], &pooled).await.ok().json();
        assert_eq!(jobs.as_array().map(Vec::len), Some(1), "{jobs}");
        rawops_with(&url, &["jobs", "show", jobs[0]["id"].as_str().expect("an id")], &pooled).await.ok();
    }
    assert_eq!(rawops_with(&url, &["doctor", "--json"], &pooled).await.ok().json()["faults"], 0);
    let refusal = rawops_with(&url, &["jobs", "list"], &[("DATABASE_POOLER", "session")]).await.refusal(1);
    assert!(refusal.contains("DATABASE_POOLER is \"session\"; expected transaction"), "{refusal}");
}
