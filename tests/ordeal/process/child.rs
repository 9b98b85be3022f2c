//! What a process does that was started as a part of a run.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::Context;
use chrono_tz::Europe::London;
use engine::{
    Worker, WorkerConfig, pooler,
    schedule::{Config, Misfire, Overlap, Schedule, Scheduler},
};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use sqlx::{PgPool, postgres::PgConnectOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use web::AppState;

use super::{ORDERS, Orders, Role, place};
use crate::{
    canaries,
    kinds::{QUEUE, Tick, apart, kinds, probe_queue},
    namespace::enter,
    witness,
    workload::mails,
};

/// The secret that the run's shop signs with.
pub const SECRET: &str = canaries::SHOP_SECRET;
/// The run's shop.
pub const SHOP: &str = "ordeal.myshopify.com";
/// How long a worker's lease lasts.
pub const LEASE: Duration = Duration::from_secs(2);
/// How long a shutdown waits for running jobs: some are still running then, and are released.
pub const GRACE: Duration = Duration::from_millis(1500);

/// What operators edit, pause, and run by hand: every second, as the program has it.
pub const EDITED: Schedule = Schedule::of::<Tick>("ordeal_edited", "* * * * * *", London, "Comes as operators want")
    .overlap(Overlap::Allow)
    .misfire(Misfire::All(1000));

/// What comes by the clock: something every second, something every three, and what operators edit.
pub const SCHEDULES: &[Schedule] = &[
    Schedule::of::<Tick>("ordeal_every_second", "* * * * * *", London, "Comes every second")
        .overlap(Overlap::Allow)
        .misfire(Misfire::All(1000)),
    Schedule::of::<Tick>("ordeal_every_third", "*/3 * * * * *", London, "Comes every third second")
        .overlap(Overlap::Allow)
        .misfire(Misfire::All(1000)),
    EDITED,
];

/// Runs as what the environment says; `None` when this process was not started as a part of a run.
///
/// # Errors
/// What keeps it from beginning.
pub fn run() -> Option<anyhow::Result<()>> {
    let orders = std::env::var(ORDERS).ok()?;
    Some(serde_json::from_str(&orders).context("the orders of a process").and_then(|orders| obey(&orders)))
}

fn obey(orders: &Orders) -> anyhow::Result<()> {
    // A supervisor that is killed leaves nobody behind: an orphan would work on the next run's database.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    anyhow::ensure!(
        getppid().is_some_and(|parent| parent.as_raw_nonzero().get().cast_unsigned() == orders.parent),
        "the supervisor is gone"
    );
    // The client of the outside system speaks TLS where it must; another part of the process may have chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    witness::open(&orders.folder)?;
    place::watch(&orders.folder, orders.arm.clone())?;
    #[cfg(feature = "planted")]
    crate::planted::plant(orders.planted.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let stop = until_term()?;
        match orders.role {
            Role::Worker(place) => work(orders, place, stop).await,
            Role::Scheduler(_) => {
                let config = Config { tick: Duration::from_millis(300), lease: LEASE, ..Config::default() };
                Ok(Scheduler::new(pool(orders, 4).await?, SCHEDULES, config).run(stop).await?)
            }
            Role::Web(_, port) => serve(orders, port, stop).await,
        }
    })
}

async fn work(orders: &Orders, place: usize, stop: CancellationToken) -> anyhow::Result<()> {
    let config = WorkerConfig {
        // A notice belongs to one session, and behind a pooler each transaction may be on another.
        listen: !orders.pooled,
        name: orders.role.name(),
        queues: vec![QUEUE.into(), "orders".into(), "allocation".into(), "outbox".into(), "default".into(), probe_queue(place)],
        concurrency: 12,
        batch: 50,
        lease: LEASE,
        grace: GRACE,
        // What programs do takes longer than what runs are made for.
        run_time: Duration::from_millis(500),
        ..WorkerConfig::default()
    };
    let outside = match &orders.relay {
        Some(relay) => format!("http://127.0.0.1:{}", enter(relay.clone()).await?),
        None => orders.outside.clone(),
    };
    let kinds = apart::started_in(kinds(orders.version, mails::clients(&outside)?), &orders.folder);
    Ok(Worker::new(pool(orders, 14).await?, kinds, config).run(stop).await?)
}

async fn serve(orders: &Orders, port: u16, stop: CancellationToken) -> anyhow::Result<()> {
    let config = web_config(port);
    let listener = web::bind(config.bind).await?;
    let state = AppState::new(&config, pool(orders, 8).await?).with_kinds(kinds(orders.version, mails::clients(&orders.outside)?));
    web::run(listener, web::router(state), stop).await;
    Ok(())
}

/// The settings of a web process at this port.
pub fn web_config(port: u16) -> workers::web::Config {
    workers::web::Config {
        bind: (Ipv4Addr::LOCALHOST, port).into(),
        shopify_secret: web::Secret::new(SECRET),
        shopify_secret_previous: None,
        shop_domain: SHOP.into(),
        customerio: web::Keys::default(),
        seal: web::Keys::default(),
        courier: web::Keys::default(),
        packer: web::Keys::default(),
    }
}

async fn pool(orders: &Orders, connections: u32) -> anyhow::Result<PgPool> {
    let options = engine::pool_options().max_connections(connections).acquire_timeout(Duration::from_secs(5));
    let there: PgConnectOptions = orders.url.parse()?;
    Ok(options.connect_lazy_with(if orders.pooled { pooler::through(there).await? } else { there }))
}

fn until_term() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut term = signal(SignalKind::terminate())?;
    let heard = stop.clone();
    tokio::spawn(async move {
        term.recv().await;
        heard.cancel();
    });
    Ok(stop)
}
