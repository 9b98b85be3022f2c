//! Limits against a model: random operations on jobs of a few keys, some of them undone half-way as a crash would, and
//! after each the same places and the same slots.

use std::collections::{BTreeMap, VecDeque};

use engine::{
    Category, JobId,
    store::{
        attempt::Verdict,
        cancel_request,
        claim::{self, Claimed, Orphan},
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use sqlx::PgPool;

use super::hand::{Hand, ended, failed, promote};
use super::limits::{enqueue, limit};
use crate::support::{Database, ledger};

const KEYS: [(&str, bool); 4] = [("a", false), ("b", true), ("c", false), ("d", true)];

/// A key as it should be.
struct Key {
    cap: usize,
    in_order: bool,
    queue: VecDeque<JobId>,
    /// Number and holder.
    slots: BTreeMap<usize, JobId>,
}

/// The engine as it should be.
struct Model {
    keys: BTreeMap<&'static str, Key>,
    /// Where each job stands, and its key.
    jobs: BTreeMap<JobId, (&'static str, &'static str)>,
}

impl Model {
    fn new() -> Self {
        let key = |(name, in_order)| (name, Key { cap: 2, in_order, queue: VecDeque::new(), slots: BTreeMap::new() });
        Self { keys: KEYS.into_iter().map(key).collect(), jobs: BTreeMap::new() }
    }

    fn key_of(&mut self, job: JobId) -> &mut Key {
        self.keys.get_mut(self.jobs[&job].1).expect("a known key")
    }

    fn put(&mut self, job: JobId, place: &'static str) {
        self.jobs.get_mut(&job).expect("a known job").0 = place;
    }

    fn queue(&mut self, job: JobId) {
        let key = self.key_of(job);
        let holds = key.slots.values().any(|holder| *holder == job);
        if !holds {
            key.queue.push_back(job);
        }
        self.put(job, if holds { "ready" } else { "waiting" });
    }

    fn admit(&mut self, name: &str) {
        let key = self.keys.get_mut(name).expect("a known key");
        let mut entered = Vec::new();
        while key.slots.len() < key.cap && !key.queue.is_empty() {
            let n = (1..=key.cap).find(|n| !key.slots.contains_key(n)).expect("fewer are taken than there are");
            let job = key.queue.pop_front().expect("it is not empty");
            key.slots.insert(n, job);
            entered.push(job);
        }
        for job in entered {
            self.put(job, "ready");
        }
    }

    fn give_back(&mut self, job: JobId) {
        let key = self.key_of(job);
        let Some(n) = key.slots.iter().find(|(_, holder)| **holder == job).map(|(n, _)| *n) else { return };
        key.slots.remove(&n);
        let next = if n <= key.cap { key.queue.pop_front() } else { None };
        if let Some(next) = next {
            key.slots.insert(n, next);
            self.put(next, "ready");
        }
    }

    fn ends(&mut self, job: JobId, state: &'static str) {
        self.put(job, state);
        let keeps = state == "ready" || (state == "scheduled" && self.key_of(job).in_order);
        if !keeps {
            self.give_back(job);
        }
    }

    fn standing(&self, place: &str) -> Vec<JobId> {
        self.jobs.iter().filter(|(_, (at, _))| *at == place).map(|(job, _)| *job).collect()
    }
}

/// Fails unless the database has the same places and slots.
async fn same(pool: &PgPool, model: &Model, after: &str) {
    let states: Vec<(JobId, String)> =
        sqlx::query_as("select id, state from engine.job_state order by id").fetch_all(pool).await.expect("states");
    let expected: Vec<(JobId, String)> = model.jobs.iter().map(|(job, (place, _))| (*job, (*place).to_string())).collect();
    assert_eq!(states, expected, "places after {after}");
    let slots: Vec<(String, i32, JobId)> =
        sqlx::query_as("select limit_key, n, job_id from engine.slot order by limit_key, n").fetch_all(pool).await.expect("slots");
    let expected: Vec<(String, i32, JobId)> =
        model.keys.iter().flat_map(|(name, key)| key.slots.iter().map(|(n, job)| ((*name).to_string(), *n as i32, *job))).collect();
    assert_eq!(slots, expected, "slots after {after}");
}

/// The walk: the model, the worker, and what it holds.
struct Walk {
    model: Model,
    hand: Hand,
    held: Vec<Claimed>,
}

impl Walk {
    async fn step(&mut self, pool: &PgPool, rng: &mut StdRng) -> String {
        let (name, _) = *KEYS.choose(rng).expect("keys");
        match rng.random_range(0..12) {
            0 | 1 => {
                let jobs = enqueue(pool, name, rng.random_range(1..4)).await;
                for job in jobs {
                    self.model.jobs.insert(job, ("", name));
                    self.model.queue(job);
                }
                format!("enqueue {name}")
            }
            2 | 3 => {
                self.hand.admit(name).await;
                self.model.admit(name);
                format!("admit {name}")
            }
            4 => self.take(rng.random_range(1..6)).await,
            5..=8 => self.end_one(rng).await,
            9 => self.promote(pool).await,
            10 => self.cancel(pool, rng).await,
            _ if rng.random_range(0..3) == 0 => self.die(pool).await,
            _ => {
                let key = self.model.keys.get_mut(name).expect("a known key");
                key.cap = rng.random_range(1..5);
                limit(pool, name, key.cap as i32, key.in_order).await;
                format!("cap of {name}")
            }
        }
    }

    async fn take(&mut self, most: i64) -> String {
        let taken = self.hand.take(most).await;
        for job in &taken {
            self.model.put(job.job_id, "running");
        }
        self.held.extend(taken);
        "take".into()
    }

    /// Ends one job in any way; one time in four the transaction is lost and done again, as after a crash.
    async fn end_one(&mut self, rng: &mut StdRng) -> String {
        if self.held.is_empty() {
            return "nothing".into();
        }
        let job = self.held.swap_remove(rng.random_range(0..self.held.len()));
        let (verdict, state) = match rng.random_range(0..6) {
            0 | 1 => (Verdict::Completed(serde_json::Value::Null), "completed"),
            2 => (failed(Category::Conflict), "scheduled"),
            3 => (failed(Category::Validation), "dead"),
            4 => (Verdict::Snoozed(60_000), "scheduled"),
            _ => (Verdict::Released, "ready"),
        };
        let said = format!("{} of job {}", verdict.outcome(), job.job_id);
        let end = [ended(&job, verdict)];
        if rng.random_range(0..4) == 0 {
            sqlx::query("begin").execute(&mut *self.hand.connection).await.expect("begun");
            self.record(&end).await;
            sqlx::query("rollback").execute(&mut *self.hand.connection).await.expect("lost");
        }
        self.record(&end).await;
        self.model.ends(job.job_id, state);
        said
    }

    async fn record(&mut self, end: &[engine::store::attempt::Ended]) {
        let late = match end[0].verdict {
            Verdict::Completed(_) => self.hand.complete(end).await,
            _ => self.hand.settle(end).await,
        };
        assert!(late.is_empty(), "nobody else ended it");
    }

    async fn promote(&mut self, pool: &PgPool) -> String {
        // One due time for all, and no suspects.
        sqlx::query("update engine.scheduled set alone = false, run_at = now() - interval '1 second'")
            .execute(pool)
            .await
            .expect("made due");
        promote(&mut self.hand.connection).await;
        for job in self.model.standing("scheduled") {
            self.model.queue(job);
        }
        "promote".into()
    }

    async fn cancel(&mut self, pool: &PgPool, rng: &mut StdRng) -> String {
        let live: Vec<JobId> = ["waiting", "ready", "scheduled"].into_iter().flat_map(|place| self.model.standing(place)).collect();
        let Some(job) = live.choose(rng).copied() else { return "nothing".into() };
        cancel_request::cancel(pool, job, "a test", None).await.expect("cancelled");
        self.model.key_of(job).queue.retain(|waiting| *waiting != job);
        self.model.put(job, "cancelled");
        self.model.give_back(job);
        format!("cancel {job}")
    }

    /// The worker dies with all that it holds, and another takes its place.
    async fn die(&mut self, pool: &PgPool) -> String {
        self.hand.die().await;
        let mut claims: Vec<i64> = self.held.iter().map(|job| job.claim_id).collect();
        claims.sort_unstable();
        claims.dedup();
        for id in claims {
            claim::rescue(&mut self.hand.connection, Orphan { worker_id: self.hand.id, id }).await.expect("rescued");
        }
        for job in self.held.drain(..) {
            let lost: i64 = sqlx::query_scalar("select count(*) from engine.attempt where job_id = $1 and outcome = 'lost'")
                .bind(job.job_id)
                .fetch_one(pool)
                .await
                .expect("a count");
            self.model.put(job.job_id, if lost == 1 { "ready" } else { "scheduled" });
        }
        self.hand = Hand::new(pool).await;
        "the worker dies".into()
    }
}

#[tokio::test]
async fn random_operations_and_crashes_leave_the_places_and_slots_of_the_model() {
    let db = Database::new().await;
    sqlx::query("update engine.retry_config set max_attempts = 1000, alert_on_attempt = null, escalate_on_attempt = null where error_category = 'conflict'")
        .execute(db.pool())
        .await
        .expect("a patient policy");
    for (name, in_order) in KEYS {
        limit(db.pool(), name, 2, in_order).await;
    }
    let seed = 20_261_128;
    let mut rng = StdRng::seed_from_u64(seed);
    let mut walk = Walk { model: Model::new(), hand: Hand::new(db.pool()).await, held: Vec::new() };
    for step in 0..600 {
        let what = walk.step(db.pool(), &mut rng).await;
        same(db.pool(), &walk.model, &format!("step {step}, {what} (seed {seed})")).await;
    }
    let most: usize = walk.model.keys.values().map(|key| key.slots.len()).sum();
    assert!(most > 0 && walk.model.jobs.len() > 100, "the walk did something");
    walk.hand.die().await;
    for job in walk.held {
        claim::rescue(&mut walk.hand.connection, Orphan { worker_id: walk.hand.id, id: job.claim_id }).await.expect("rescued");
    }
    ledger::check(db.pool()).await;
}
