//! One run: a stage is set, load and faults go on for a while, everything is healed and drained, and judged.

mod after;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use after::{drain, examine, figures, probe, stop_schedulers};
use anyhow::Context;
use chrono::{DateTime, Utc};
use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    canaries::Search,
    checkers,
    coverage::Coverage,
    facts::{Facts, Observed},
    faults::Class,
    leftovers,
    nemesis::{self, Plan},
    pooler,
    process::place::Target,
    report::Report,
    server::Server,
    stage::{self, Stage, WORKERS},
    tables,
    wait::until_so,
    watch::{self, Seen},
    workload::{letters, mails, operators, policy, producer::Producer, restarts, schedules, shop, slow, versions},
};

/// How often a process that has ended is looked for.
const TEND: Duration = Duration::from_millis(100);
/// One seed of so many runs through a pooler, where this machine has one.
const POOLED_OF: u64 = 3;
/// For so long at most the server is left alone at first: a quarter of a run as short as a gate's.
const CALM: Duration = Duration::from_secs(6);
/// How long a process may take to come up, or to answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a run is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Everything follows from it.
    pub seed: u64,
    /// How long load and faults go on.
    pub time: Duration,
    /// How long everything may take to end after the last heal.
    pub drain: Duration,
    /// What strikes.
    pub classes: Vec<Class>,
    /// Where processes come to harm between two statements; anywhere, when there are none.
    pub targets: Vec<Target>,
    /// Programs a second, of all producers together.
    pub rate: f64,
    /// How many producers there are.
    pub producers: u64,
    /// Orders a second.
    pub orders: f64,
    /// The middle of the pause of one hand between two faults of processes.
    pub pause: Duration,
    /// The same of the server.
    pub server_pause: Duration,
    /// The bug that all processes have.
    pub planted: Option<String>,
    /// Whether processes reach the server through a pooler in transaction mode.
    pub pooled: bool,
    /// What processes are started from.
    pub program: PathBuf,
    /// What workers of the older version are started from; the same program when there is none.
    pub older: Option<PathBuf>,
    /// Where runs have their folders.
    pub root: PathBuf,
}

impl Settings {
    /// A short run with every fault.
    pub fn new(seed: u64, program: PathBuf, root: PathBuf) -> Self {
        Self {
            seed,
            time: Duration::from_secs(30),
            drain: Duration::from_secs(150),
            classes: Class::here(),
            targets: Vec::new(),
            rate: 60.0,
            producers: 4,
            orders: 1.5,
            pause: Duration::from_millis(900),
            server_pause: Duration::from_secs(5),
            planted: None,
            pooled: seed.is_multiple_of(POOLED_OF) && pooler::is_there(),
            program,
            older: None,
            root,
        }
    }
}

impl Settings {
    /// Whether the fleet is of two versions of the program: then a run lasts half a minute longer, because what an older
    /// worker does not understand waits so long.
    pub fn is_mixed(&self) -> bool {
        self.classes.contains(&Class::Roll)
    }
}

/// Runs it.
///
/// # Errors
/// When the run itself comes to nothing; what the engine did wrong is in the report.
pub async fn run(settings: &Settings, server: &Arc<Server>) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let folder = stage::folder(&settings.root, settings.seed)?;
    let stage = Stage::set(settings, server.clone(), folder).await?;
    let tending = CancellationToken::new();
    let tender = tokio::spawn(tend(stage.clone(), tending.clone()));
    let (observed, seen) = act(settings, &stage).await?;
    let mut facts = Facts::gather(&stage, observed).await?;
    tending.cancel();
    tender.await??;
    stage.fleet.end();
    // What the pooler keeps open is not the processes' any more.
    if let Some(pooler) = &stage.pooler {
        pooler.end();
    }
    (facts.observed.seen, facts.observed.revised) = seen.compare(&facts.attempts);
    facts.observed.left_over.extend(leftovers::of_processes(&stage.pool).await?);
    facts.observed.canaries = Search::of(&stage, &facts.observed.figures).await?;
    let findings = checkers::check(&facts);
    let report = Report::of(&facts, findings, Coverage::of(&facts), begun.elapsed());
    // The findings count for more than what they could be looked into with.
    if !report.is_clean()
        && let Err(error) = tables::write(&stage.pool, &stage.folder.join("tables")).await
    {
        eprintln!("the tables of seed {} are not kept: {error:#}", settings.seed);
    }
    stage.pool.close().await;
    stage.producers.close().await;
    if let Err(error) = server.drop_database(&stage.database.name).await {
        eprintln!("the database of seed {} stays: {error:#}", settings.seed);
    }
    Ok(report)
}

/// Everything from the first job to the last answer.
async fn act(settings: &Settings, stage: &Arc<Stage>) -> anyhow::Result<(Observed, Seen)> {
    until_up(stage).await?;
    let began = now(stage).await?;
    let (striking, asking, watching) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
    let watcher = tokio::spawn(Seen::watch(stage.clone(), watching.clone()));
    let plan = Plan {
        classes: settings.classes.clone(),
        targets: settings.targets.clone(),
        pause: settings.pause,
        server_pause: settings.server_pause,
        calm: (settings.time / 4).min(CALM),
    };
    let nemesis = tokio::spawn(nemesis::run(stage.clone(), plan, striking.clone()));
    let mut askers = ask(settings, stage, &asking);
    let mut early = None;
    tokio::select! {
        () = tokio::time::sleep(settings.time) => (),
        ended = askers.join_next() => early = ended,
    }
    striking.cancel();
    nemesis.await?.context("a fault could not be healed")?;
    asking.cancel();
    if let Some(ended) = early {
        ended??;
    }
    while let Some(ended) = askers.join_next().await {
        ended??;
    }
    operators::cancel_rest(stage).await?;
    // A deployment comes to its end: what only the newer version understands is not left to the older one for ever.
    for place in stage.fleet.roll_out() {
        stage.fleet.signal(place, Signal::TERM, "TERM");
    }
    let mut observed = Observed { cron: Some((began, stop_schedulers(stage).await?)), ..Observed::default() };
    observed.stuck = drain(stage, settings.drain).await?;
    if observed.stuck.is_empty() {
        observed.silent = probe(stage, settings.drain).await?;
    }
    observed.figures = figures(stage).await?;
    let has_ended = observed.stuck.is_empty() && observed.silent.is_empty();
    observed.left_over = leftovers::of_idle(stage, has_ended).await?;
    watching.cancel();
    let seen = watcher.await?;
    observed.doctor = examine(stage).await?;
    Ok((observed, seen))
}

fn ask(settings: &Settings, stage: &Arc<Stage>, stop: &CancellationToken) -> JoinSet<anyhow::Result<()>> {
    let mut askers = JoinSet::new();
    for number in 0..settings.producers {
        let rate = settings.rate / settings.producers as f64;
        askers.spawn(Producer::new(stage.clone(), number).run(rate, stop.clone()));
    }
    askers.spawn(Producer::of_calls(stage.clone()).run_calls(stop.clone()));
    askers.spawn(operators::cancel(stage.clone(), stop.clone()));
    askers.spawn(operators::hold_programs(stage.clone(), stop.clone()));
    askers.spawn(operators::hold_keys(stage.clone(), stop.clone()));
    askers.spawn(operators::hold_breaker(stage.clone(), stop.clone()));
    askers.spawn(watch::breaker(stage.clone(), stop.clone()));
    for together in [false, true] {
        askers.spawn(letters::run(stage.clone(), together, stop.clone()));
    }
    askers.spawn(policy::run(stage.clone(), stop.clone()));
    askers.spawn(schedules::run(stage.clone(), stop.clone()));
    askers.spawn(restarts::run(stage.clone(), stop.clone()));
    askers.spawn(mails::run(stage.clone(), stop.clone()));
    askers.spawn(slow::run(stage.clone(), stop.clone()));
    if settings.is_mixed() {
        askers.spawn(versions::run(stage.clone(), stop.clone()));
    }
    askers.spawn(shop::run(stage.clone(), settings.orders, stop.clone()));
    askers
}

async fn tend(stage: Arc<Stage>, stop: CancellationToken) -> anyhow::Result<()> {
    loop {
        stage.fleet.tend()?;
        if stop.run_until_cancelled(tokio::time::sleep(TEND)).await.is_none() {
            return Ok(());
        }
    }
}

async fn now(stage: &Stage) -> anyhow::Result<DateTime<Utc>> {
    Ok(sqlx::query_scalar("select engine.now()").fetch_one(&stage.pool).await?)
}

async fn until_up(stage: &Stage) -> anyhow::Result<()> {
    const UP: &str = "select count(*) >= $1 and exists (select from engine.leader) from engine.worker where dead_at is null";
    let up = until_so(PATIENCE, || sqlx::query_scalar(UP).bind(WORKERS as i64).fetch_one(&stage.pool)).await?;
    anyhow::ensure!(up, "the processes do not come up: see the logs in {}", stage.folder.display());
    Ok(())
}
