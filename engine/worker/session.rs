//! One life of a worker: from its registration to its drain, or to the moment it is declared dead.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use apalis_core::worker::builder::WorkerBuilder;
use sqlx::{ConnectOptions, PgConnection, PgPool};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tower::limit::ConcurrencyLimitLayer;

use super::{
    WorkerConfig, WorkerError,
    admission::Admission,
    backend::Intake,
    breakers::Breakers,
    claimer,
    drain::{self, Drain},
    follow, house, keeper, lease,
    pace::Pace,
    patience,
    pulse::Pulse,
    recorder,
    register::{named, register},
    replan::Replan,
    results::{self, Results},
    stop::{Stop, StopSender, stopper},
    wakeup,
};
use crate::{
    JobId, Kinds,
    planted::planted,
    pool,
    store::{
        attempt::{Ended, Verdict},
        claim::Claimed,
        worker as store,
    },
};

/// How long a session's end waits for a farewell that nobody needs.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How often it is looked whether anything is in hand.
const LOOK: Duration = Duration::from_millis(10);

/// What all lives of a worker share.
pub(super) struct Program {
    pub(super) pool: PgPool,
    pub(super) kinds: Kinds,
    pub(super) config: WorkerConfig,
    pub(super) kind_names: Vec<String>,
    pub(super) queues: Vec<String>,
    /// Of a worker that ends when nothing is left.
    pub(super) drain: Option<Arc<Drain>>,
}

impl Program {
    pub(super) fn new(pool: PgPool, kinds: Kinds, config: WorkerConfig, drain: Option<Arc<Drain>>) -> Arc<Self> {
        // The engine's own kinds run in whatever queues the worker serves.
        let kinds = kinds.with_own();
        let mut queues = config.queues.clone();
        if queues.is_empty() {
            queues = kinds.queues();
            queues.push("default".into());
            queues.sort_unstable();
            queues.dedup();
        }
        Arc::new(Self { kind_names: kinds.names(), queues, pool, kinds, config, drain })
    }
}

/// One life of a worker.
pub(super) struct Session {
    pub(super) program: Arc<Program>,
    pub(super) worker_id: i64,
    /// Connections of handlers: they bear the worker's name, so that a rescuer can end what it left open.
    pub(super) pool: PgPool,
    /// Start nothing new.
    pub(super) draining: CancellationToken,
    /// Declared dead: write nothing.
    pub(super) lost: CancellationToken,
    /// How to reach each running job.
    pub(super) running: Mutex<HashMap<(JobId, i32), StopSender>>,
    /// Jobs claimed and not yet ended.
    pub(super) in_hand: AtomicUsize,
    /// How many jobs of each claim the database does not know the end of yet: a death now would lose them, ended or not.
    pub(super) claims: Mutex<HashMap<i64, usize>>,
    /// Claims with a job whose end cannot be recorded: it runs again after this worker's end, and not before.
    pub(super) left_to_rescue: Mutex<HashSet<i64>>,
    /// A claim was asked for, and nobody knows whether it will be committed.
    pub(super) claim_unanswered: AtomicBool,
    /// Something changed that the claimer waits for.
    pub(super) nudge: Notify,
    /// NOTIFY reaches this worker.
    pub(super) listening: AtomicBool,
    /// A suspect is due somewhere.
    pub(super) suspects: AtomicBool,
    pub(super) pace: Arc<Pace>,
    pub(super) admission: Admission,
    pub(super) breakers: Breakers,
    pub(super) replan: Replan,
    pub(super) pulse: Arc<Pulse>,
    results: Results,
}

impl Session {
    /// A connection that belongs to one task of the engine. A plan that was made while a table was empty is kept when there
    /// are millions, so none may read a table whole; nor is any worth compiling.
    pub(super) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let options = named(&self.program.pool, self.worker_id).options([("enable_seqscan", "off"), ("jit", "off")]);
        patience::answer(self, options.connect()).await
    }

    /// Takes note of jobs that this worker holds from now on.
    pub(super) fn holds(&self, jobs: impl Iterator<Item = i64>) {
        let mut claims = self.claims.lock().expect("no holder of this lock panics");
        for claim_id in jobs {
            *claims.entry(claim_id).or_default() += 1;
            self.in_hand.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Takes note of ends that the database knows.
    pub(super) fn recorded(&self, ended: &[Ended]) {
        let mut claims = self.claims.lock().expect("no holder of this lock panics");
        for ended in ended {
            if let Entry::Occupied(mut left) = claims.entry(ended.claim_id) {
                *left.get_mut() -= 1;
                if *left.get() == 0 {
                    left.remove();
                }
            }
        }
        if claims.is_empty() && self.suspects.load(Ordering::Acquire) {
            self.nudge.notify_one();
        }
    }

    /// The claims of which the database knows every job's end, once it knows these.
    pub(super) fn finished_by(&self, ended: &[Ended]) -> Vec<i64> {
        let claims = self.claims.lock().expect("no holder of this lock panics");
        let mut among = HashMap::new();
        for ended in ended {
            *among.entry(ended.claim_id).or_insert(0) += 1;
        }
        among.into_iter().filter(|(claim, count)| claims.get(claim).is_none_or(|left| left <= count)).map(|(claim, _)| claim).collect()
    }

    /// The claims with jobs whose end the database does not know yet.
    pub(super) fn open_claims(&self) -> Vec<i64> {
        self.claims.lock().expect("no holder of this lock panics").keys().copied().collect()
    }

    /// Takes note of a claim that nothing more can be done about in this life.
    pub(super) fn leave_to_rescue(&self, claim_id: i64) {
        self.left_to_rescue.lock().expect("no holder of this lock panics").insert(claim_id);
    }

    /// Takes note of one job's end and makes room for the next.
    pub(super) async fn ended(&self, ended: Ended) {
        let lane = ended.lane_id;
        self.results.send(ended).await;
        self.pace.ended(lane);
        self.in_hand.fetch_sub(1, Ordering::AcqRel);
        self.nudge.notify_one();
    }

    /// Waits until every job that this worker holds has an end.
    pub(super) async fn idle(&self) {
        while self.in_hand.load(Ordering::Acquire) > 0 {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Gives back a job that did not run, and all that follow it.
    pub(super) async fn release(&self, mut job: Claimed) {
        let followers = std::mem::take(&mut job.followers);
        for job in std::iter::once(job).chain(followers) {
            self.ended(job.ended(0, Verdict::Released)).await;
        }
    }

    /// Tells running jobs to stop.
    pub(super) fn stop(&self, which: impl Fn(JobId) -> bool, why: Stop) {
        let running = self.running.lock().expect("no holder of this lock panics");
        for (_, stop) in running.iter().filter(|((id, _), _)| which(*id)) {
            stop.send_if_modified(|now| now.is_none().then(|| *now = Some(why)).is_some());
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.draining.is_cancelled() || self.lost.is_cancelled()
    }
}

/// Lives one life.
pub(super) async fn run(program: &Arc<Program>, shutdown: &CancellationToken) -> Result<(), WorkerError> {
    let Some(worker_id) = register(program, shutdown).await? else { return Ok(()) };
    tracing::info!(worker.id = worker_id, name = program.config.name, "worker registered");
    let (results, source) = results::channel();
    let (hand_over, intake) = mpsc::unbounded_channel::<Claimed>();
    // Handlers are dropped wherever they wait, and begin of their own.
    let pool = pool::closes_what_is_in_a_transaction(program.pool.options().clone()).connect_lazy_with(named(&program.pool, worker_id));
    let session = Arc::new(Session {
        program: program.clone(),
        worker_id,
        pool,
        draining: CancellationToken::new(),
        lost: CancellationToken::new(),
        running: Mutex::default(),
        in_hand: AtomicUsize::new(0),
        claims: Mutex::default(),
        left_to_rescue: Mutex::default(),
        claim_unanswered: AtomicBool::new(false),
        nudge: Notify::new(),
        listening: AtomicBool::new(false),
        suspects: AtomicBool::new(false),
        pace: Arc::default(),
        admission: Admission::default(),
        breakers: Breakers::of(&program.kinds),
        replan: Replan::default(),
        pulse: Pulse::new(),
        results,
    });

    let pulse = session.pulse.start();
    let lease = lease::spawn(&session)?;
    let recorder = tokio::spawn(guarded(session.lost.clone(), recorder::run(session.clone(), source)));
    let helpers = [
        tokio::spawn(guarded(session.lost.clone(), claimer::run(session.clone(), hand_over))),
        tokio::spawn(guarded(session.lost.clone(), keeper::run(session.clone()))),
        tokio::spawn(guarded(session.lost.clone(), house::run(session.clone()))),
        tokio::spawn(guarded(session.lost.clone(), wakeup::run(session.clone()))),
        tokio::spawn(guarded(session.lost.clone(), drain::run(session.clone()))),
        tokio::spawn(guarded(session.lost.clone(), stopper(session.clone(), shutdown.clone()))),
    ];
    let worker = WorkerBuilder::new(format!("rawops-{worker_id}").as_str())
        .backend(Intake::new(intake, session.clone()))
        .data(session.clone())
        .layer(ConcurrencyLimitLayer::new(program.config.concurrency))
        .build(follow::follow);
    if let Err(error) = worker.run().await {
        tracing::error!(worker.id = worker_id, %error, "the worker loop ended with an error");
        session.lost.cancel();
    }

    session.draining.cancel();
    for helper in helpers {
        let _ = helper.await;
    }
    let ended = Arc::downgrade(&session);
    let (pool, lost) = (session.pool.clone(), session.lost.clone());
    finish(session, recorder, lease).await;
    drop(pulse);
    // A connection that died silently may never say goodbye.
    let _ = tokio::time::timeout(LAST_WORDS, pool.close()).await;
    debug_assert!(ended.upgrade().is_none(), "nothing of a session outlives it");
    tracing::info!(worker.id = worker_id, declared_dead = lost.is_cancelled(), "worker ended");
    Ok(())
}

/// A task whose panic ends the session: a worker that lacks one of them would hold jobs that nobody looks after.
async fn guarded(lost: CancellationToken, task: impl Future<Output = ()>) {
    let ended_in_order = lost.drop_guard();
    task.await;
    ended_in_order.disarm();
}

/// Flushes the results, then gives up the lease: it outlives the last write.
async fn finish(session: Arc<Session>, recorder: tokio::task::JoinHandle<()>, lease: lease::LeaseThread) {
    let worker_id = session.worker_id;
    let pool = session.program.pool.clone();
    let abort = recorder.abort_handle();
    let flushed = async {
        // A claim that was answered at the last moment is given back by tasks of their own.
        let _ = tokio::time::timeout(LAST_WORDS, session.idle()).await;
        session.results.close().await;
        recorder.await
    };
    if planted!("a shutdown does not wait for the recorder") {
        abort.abort();
    }
    if tokio::time::timeout(session.program.config.grace, flushed).await.is_err() {
        tracing::error!(
            worker.id = worker_id,
            "the database is away, or a transaction keeps results from being recorded: they are given up, their jobs will run again"
        );
        abort.abort();
    }
    lease.stop().await;
    let claim_unanswered = session.claim_unanswered.load(Ordering::Acquire);
    drop(session);
    if claim_unanswered {
        tracing::info!(
            worker.id = worker_id,
            "a claim was not answered, so this is no end in good order: others will see the lease run out"
        );
        return;
    }
    let signing_off = async { store::leave(&mut *pool.acquire().await?, worker_id).await };
    match tokio::time::timeout(LAST_WORDS, signing_off).await {
        Ok(Ok(())) => (),
        Ok(Err(error)) => tracing::warn!(worker.id = worker_id, %error, "could not sign off; others will see the lease run out"),
        Err(_) => tracing::warn!(worker.id = worker_id, "could not sign off in time; others will see the lease run out"),
    }
}
