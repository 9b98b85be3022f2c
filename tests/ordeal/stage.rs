//! The stage of one run: its server and database, its processes, its ledger.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use anyhow::Context;
use rand::{RngExt, rngs::StdRng};
use sandbox::customerio::CustomerIo;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    canaries::LogEnds,
    faults::Class,
    kinds::{CALLED, Play},
    ledger::Ledger,
    model::{OF_PROGRAMS, POLICY},
    namespace::Relay,
    pooler::Pooler,
    process::{Fleet, Role, launch},
    program::{Act, LIMITS, Program, RATE},
    proxy::Proxy,
    run::Settings,
    server::{Database, Server},
    workload::{mails, ways::Api},
};

/// How many workers a run has.
pub const WORKERS: usize = 4;
const SCHEDULERS: usize = 2;
const WEBS: usize = 2;
/// Of how many programs that need no cancel one is cancelled all the same.
const CANCELLED_OF: u32 = 40;

/// A job that robots may cancel.
struct Cancellable {
    /// The program, or what a batch calls back.
    key: String,
    id: i64,
    /// One of so many is cancelled, and left alone otherwise; none where it must be cancelled in the end.
    one_of: Option<u32>,
}

/// The stage of one run.
pub struct Stage {
    /// Everything follows from it.
    pub seed: u64,
    /// The run's folder: ledger, witnesses, logs.
    pub folder: PathBuf,
    /// The server.
    pub server: Arc<Server>,
    /// How much the server had logged before.
    pub server_logs: LogEnds,
    /// The run's database.
    pub database: Database,
    /// Connections to it, past every proxy: for operators and for looking.
    pub pool: PgPool,
    /// The pooler between processes and the server, where there is one.
    pub pooler: Option<Pooler>,
    /// The outside system that mails go to.
    pub outside: CustomerIo,
    /// The way to it from namespaces.
    _relay: Relay,
    _outside_ends: DropGuard,
    /// The network of processes.
    pub to_processes: Proxy,
    /// The network of producers.
    pub to_producers: Proxy,
    /// Connections of producers.
    pub producers: PgPool,
    /// The processes.
    pub fleet: Fleet,
    /// What was meant and acknowledged.
    pub ledger: Ledger,
    /// Where the web processes listen.
    pub ports: Vec<u16>,
    /// The web processes, to those who enqueue.
    pub api: Api,
    /// Jobs that may be cancelled.
    cancellable: Mutex<Vec<Cancellable>>,
}

impl Stage {
    /// Sets a stage in a folder, for a run of these settings.
    ///
    /// # Errors
    /// The server's and the file system's.
    pub async fn set(settings: &Settings, server: Arc<Server>, folder: PathBuf) -> anyhow::Result<Arc<Self>> {
        let planted = settings.planted.clone();
        std::fs::create_dir_all(&folder)?;
        let server_logs = LogEnds::of(server.folder())?;
        let database = server.database().await?;
        let options = || engine::pool_options().max_connections(16).acquire_timeout(Duration::from_secs(5));
        let pool = options().connect(&database.url).await?;
        let pooler = if settings.pooled { Some(Pooler::start(server.port(), &server.data().await).await?) } else { None };
        let behind = pooler.as_ref().map_or_else(|| server.socket(), |pooler| watch::channel(pooler.socket()).1);
        let (to_processes, to_producers) =
            (Proxy::start(behind, settings.seed).await?, Proxy::start(server.socket(), !settings.seed).await?);
        let producers = options().connect_lazy(&to_producers.url(&database.name))?;
        prepare(&pool).await?;
        #[cfg(feature = "planted")]
        crate::planted::plant_schema(&pool, planted.as_deref()).await?;
        let ports = (0..WEBS).map(|_| free_port(Ipv4Addr::LOCALHOST)).collect::<Result<Vec<_>, _>>()?;
        let roles = roles(&ports);
        let outside_ends = CancellationToken::new();
        let outside = mails::start(settings.seed, outside_ends.clone()).await?;
        let port = outside.url().rsplit(':').next().and_then(|port| port.parse().ok()).context("the outside system has a port")?;
        let apart = settings.classes.contains(&Class::Partition);
        let namespaces = if apart { server.namespaces().to_vec() } else { Vec::new() };
        let relay = Relay::start(port)?;
        let fleet = launch::Settings {
            programs: [settings.older.clone().unwrap_or_else(|| settings.program.clone()), settings.program.clone()],
            folder: folder.clone(),
            url: to_processes.url(&database.name),
            direct_url: server.direct_url(&database.name),
            namespaces,
            pooled: settings.pooled,
            outside: outside.url().into(),
            relay: relay.socket().into(),
            mixed: settings.is_mixed(),
            planted,
        };
        let fleet = Fleet::new(fleet, &roles)?;
        let (ledger, api) = (Ledger::open(&folder)?, Api::new(&pool, ports.clone()).await?);
        Ok(Arc::new(Self {
            seed: settings.seed,
            folder,
            server,
            server_logs,
            database,
            pool,
            pooler,
            outside,
            _relay: relay,
            _outside_ends: outside_ends.drop_guard(),
            to_processes,
            to_producers,
            producers,
            fleet,
            ledger,
            api,
            ports,
            cancellable: Mutex::default(),
        }))
    }

    /// Takes note of a program whose job was acknowledged: robots may cancel it.
    pub fn made(&self, program: &Program, id: i64) {
        if program.acts.iter().any(Act::is_shared) {
            return;
        }
        let must = program.acts.contains(&Act::Hold) || program.delay_ms > 3_600_000;
        self.cancellable().push(Cancellable { key: program.key.clone(), id, one_of: (!must).then_some(CANCELLED_OF) });
    }

    /// Takes note of a batch that was acknowledged: robots cancel one of so many.
    pub fn made_batch(&self, callback: &Program, id: i64, one_of: u32) {
        self.cancellable().push(Cancellable { key: callback.key.clone(), id, one_of: Some(one_of) });
    }

    /// Some of those that may be cancelled; all that must be, when it is time.
    pub fn take_cancellable(&self, random: &mut StdRng, all: bool) -> Vec<(String, i64)> {
        let mut waiting = self.cancellable();
        let mut taken = Vec::new();
        for one in std::mem::take(&mut *waiting) {
            let now = match one.one_of {
                Some(of) => random.random_ratio(1, of),
                None => all || random.random_ratio(1, 8),
            };
            if now {
                taken.push((one.key, one.id));
            } else if one.one_of.is_none() {
                waiting.push(one);
            }
        }
        taken
    }

    fn cancellable(&self) -> MutexGuard<'_, Vec<Cancellable>> {
        self.cancellable.lock().expect("no holder of this lock panics")
    }
}

fn roles(ports: &[u16]) -> Vec<Role> {
    let workers = (0..WORKERS).map(Role::Worker);
    let schedulers = (0..SCHEDULERS).map(Role::Scheduler);
    let webs = ports.iter().enumerate().map(|(place, port)| Role::Web(place, *port));
    workers.chain(schedulers).chain(webs).collect()
}

/// A port of an address that nobody listens at.
///
/// # Errors
/// The operating system's.
pub fn free_port(address: Ipv4Addr) -> std::io::Result<u16> {
    Ok(TcpListener::bind((address, 0))?.local_addr()?.port())
}

/// The policy of the model, and the products that the shop's orders name.
async fn prepare(pool: &PgPool) -> anyhow::Result<()> {
    for (category, most, backoff) in POLICY {
        sqlx::query(
            "insert into engine.retry_config (error_category, max_attempts, backoff_seconds) values ($1, $2, $3)
             on conflict (error_category) do update set max_attempts = excluded.max_attempts, backoff_seconds = excluded.backoff_seconds",
        )
        .bind(category)
        .bind(most)
        .bind(backoff)
        .execute(pool)
        .await
        .with_context(|| format!("the policy of {category}"))?;
    }
    // The versions of a kind's rows are none of its category's, so that each tells which row decided.
    for (category, ..) in OF_PROGRAMS {
        sqlx::query(
            "insert into engine.retry_policy_history (category, kind, version, what, \"row\", changed_by)
             values ($1, $2, 1000, 'removed', '{}', 'the ordeal')",
        )
        .bind(category)
        .bind(<Play as engine::Job>::KIND)
        .execute(pool)
        .await?;
    }
    for (key, cap, in_order) in LIMITS {
        sqlx::query("insert into engine.limit_setting (scope, name, cap, in_order, changed_by) values ('key', $1, $2, $3, 'the ordeal')")
            .bind(key)
            .bind(cap)
            .bind(in_order)
            .execute(pool)
            .await?;
    }
    let (key, jobs, per_ms) = RATE;
    sqlx::query(
        "insert into engine.limit_setting (scope, name, cap, rate, per_ms, burst, changed_by)
         values ('key', $1, null, $2, $3, 1, 'the ordeal'), ('kind', 'ordeal.tick', 1, null, null, null, 'the ordeal')",
    )
    .bind(key)
    .bind(jobs as i32)
    .bind(per_ms)
    .execute(pool)
    .await?;
    // Their breakers open and close again many times in a run.
    sqlx::query(
        "insert into engine.breaker (system, at_least, window_ms, cooldown_ms, cooldown_most_ms)
         values ($1, 10, 3000, 300, 2000), ($2, 3, 3000, 200, 800)",
    )
    .bind(jobs::clients::customerio::APP)
    .bind(CALLED)
    .execute(pool)
    .await?;
    let products = sandbox::shopify::catalogue();
    sqlx::query("insert into raw_ops.products (sku, name, kg) select u.sku, u.name, u.kg from unnest($1::text[], $2::text[], $3::float8[]) u (sku, name, kg)")
        .bind(products.iter().map(|product| product.sku).collect::<Vec<_>>())
        .bind(products.iter().map(|product| product.name).collect::<Vec<_>>())
        .bind(products.iter().map(|product| product.kg().to_string().parse().unwrap_or(1.0)).collect::<Vec<f64>>())
        .execute(pool)
        .await?;
    Ok(())
}

/// A folder for a run below `root`, which is emptied.
///
/// # Errors
/// The file system's.
pub fn folder(root: &Path, seed: u64) -> std::io::Result<PathBuf> {
    let folder = root.join(format!("seed-{seed}"));
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => (),
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
