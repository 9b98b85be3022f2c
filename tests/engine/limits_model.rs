//! Limits against a model: random operations on jobs of a few keys, some of them undone half-way as a crash would, and
//! after each the same places and the same slots.

use std::collections::{BTreeMap, BTreeSet};

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

/// A place in line: a new job's is its own id, one that comes back stands behind all ids given out before.
type Position = (i64, i64);

/// A key as it should be.
struct Key {
    cap: usize,
    in_order: bool,
    /// By position.
    queue: BTreeMap<Position, JobId>,
    /// Number and holder.
    slots: BTreeMap<usize, JobId>,
}

/// The engine as it should be.
struct Model {
    keys: BTreeMap<&'static str, Key>,
    /// Where each job stands, and its key.
    jobs: BTreeMap<JobId, (&'static str, &'static str)>,
    /// Those that have run before.
    returned: BTreeSet<JobId>,
    places: i64,
}

impl Model {
    fn new() -> Self {
        let key = |(name, in_order)| (name, Key { cap: 2, in_order, queue: BTreeMap::new(), slots: BTreeMap::new() });
        Self { keys: KEYS.into_iter().map(key).collect(), jobs: BTreeMap::new(), returned: BTreeSet::new(), places: 0 }
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
            self.line_up(job, false);
        }
        self.put(job, if holds { "ready" } else { "waiting" });
    }

    /// Puts a job in line, at its first place where it goes before those that came later.
    fn line_up(&mut self, job: JobId, first: bool) {
        let last_id = self.jobs.last_key_value().map_or(0, |(id, _)| id.0);
        self.places += 1;
        let position = if first || !self.returned.contains(&job) { (job.0, 0) } else { (last_id, self.places) };
        self.key_of(job).queue.insert(position, job);
        self.put(job, "waiting");
    }

    /// What should follow each of these on its slot, in runs of this length.
    fn followers(&mut self, heads: &[Claimed], length: usize) -> BTreeMap<JobId, Vec<JobId>> {
        let mut expected: BTreeMap<JobId, Vec<JobId>> = heads.iter().map(|job| (job.job_id, Vec::new())).collect();
        for (name, key) in self.keys.iter().filter(|(_, key)| !key.in_order) {
            let of_key = |job: &&Claimed| self.jobs[&job.job_id].1 == *name && !self.returned.contains(&job.job_id);
            let seats: Vec<JobId> = heads.iter().filter(of_key).map(|job| job.job_id).collect();
            if key.slots.iter().any(|(n, holder)| *n > key.cap && seats.contains(holder)) {
                // The cap was lowered: what is above it runs out alone.
                continue;
            }
            let line = key.queue.values().take(seats.len() * (length - 1)).take_while(|job| !self.returned.contains(job));
            for (job, seat) in line.zip(seats.iter().cycle()) {
                expected.get_mut(seat).expect("one of the heads").push(*job);
            }
        }
        expected
    }

    /// The last of a run has its slot.
    fn seat(&mut self, head: JobId, followers: &[JobId]) {
        let Some(last) = followers.last() else { return };
        let key = self.key_of(head);
        key.queue.retain(|_, job| !followers.contains(job));
        *key.slots.values_mut().find(|holder| **holder == head).expect("it has a slot") = *last;
    }

    fn admit(&mut self, name: &str) {
        let key = self.keys.get_mut(name).expect("a known key");
        let mut entered = Vec::new();
        while key.slots.len() < key.cap && !key.queue.is_empty() {
            let n = (1..=key.cap).find(|n| !key.slots.contains_key(n)).expect("fewer are taken than there are");
            let (_, job) = key.queue.pop_first().expect("it is not empty");
            key.slots.insert(n, job);
            entered.push(job);
        }
        for job in entered {
            self.put(job, "ready");
        }
    }

    /// The number of the slot that a job has.
    fn slot_of(&mut self, job: JobId) -> Option<usize> {
        self.key_of(job).slots.iter().find(|(_, holder)| **holder == job).map(|(n, _)| *n)
    }

    /// Hands the slot of a job on.
    fn give_back(&mut self, job: JobId, behind: i64) {
        if let Some(n) = self.slot_of(job) {
            self.hand_on(job, n, behind);
        }
    }

    /// Hands a slot of a job's key on, to the first that stands behind a position of the line, or to the first of all if none does; unless
    /// the cap was lowered, and as many have one as may.
    fn hand_on(&mut self, job: JobId, n: usize, behind: i64) {
        let key = self.key_of(job);
        key.slots.remove(&n);
        let first = key.queue.range((behind, 1)..).chain(&key.queue).next().map(|(position, _)| *position);
        let fits = n <= key.cap && key.slots.len() < key.cap;
        let next = first.filter(|_| fits).and_then(|position| key.queue.remove(&position));
        if let Some(next) = next {
            key.slots.insert(n, next);
            self.put(next, "ready");
        }
    }

    fn ends(&mut self, ended: &Claimed, state: &'static str) {
        let job = ended.job_id;
        self.returned.insert(job);
        if state == "ready" && ended.in_run {
            self.line_up(job, true);
            return self.give_back(job, 0);
        }
        self.put(job, state);
        let keeps = state == "ready" || (state == "scheduled" && self.key_of(job).in_order);
        if !keeps {
            self.give_back(job, if state == "completed" { ended.taken_to } else { 0 });
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
    /// The claims with runs, whatever of them has ended.
    with_runs: BTreeSet<i64>,
    /// The most jobs that followed one.
    longest: usize,
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
            4 => self.take(rng.random_range(1..6), rng.random_range(1..5)).await,
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

    async fn take(&mut self, most: i64, run: usize) -> String {
        let taken = self.hand.take_runs(most, run as i32).await;
        let expected = self.model.followers(&taken, run);
        for mut head in taken {
            let followers: Vec<JobId> = head.followers.iter().map(|job| job.job_id).collect();
            assert_eq!(followers, expected[&head.job_id], "what follows {}", head.job_id);
            self.model.seat(head.job_id, &followers);
            self.longest = self.longest.max(followers.len());
            if !followers.is_empty() {
                self.with_runs.insert(head.claim_id);
            }
            for job in head.run() {
                self.model.put(job.job_id, "running");
            }
            self.held.extend(std::mem::take(&mut head.followers));
            self.held.push(head);
        }
        format!("take runs of {run}")
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
        self.model.ends(&job, state);
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
        self.model.key_of(job).queue.retain(|_, waiting| *waiting != job);
        self.model.put(job, "cancelled");
        self.model.give_back(job, 0);
        format!("cancel {job}")
    }

    /// What was lost of one claim: of one with runs all that is not suspect goes back in line, and then slots change hands.
    async fn lose(&mut self, pool: &PgPool, jobs: &[JobId], with_runs: bool) {
        let mut in_line = Vec::new();
        for job in jobs {
            let lost: i64 = sqlx::query_scalar("select count(*) from engine.attempt where job_id = $1 and outcome = 'lost'")
                .bind(job)
                .fetch_one(pool)
                .await
                .expect("a count");
            self.model.returned.insert(*job);
            match lost {
                1 if with_runs => {
                    self.model.line_up(*job, true);
                    in_line.push(*job);
                }
                1 => self.model.put(*job, "ready"),
                _ => self.model.put(*job, "scheduled"),
            }
        }
        let mut slots: Vec<(usize, JobId)> = in_line.into_iter().filter_map(|job| Some((self.model.slot_of(job)?, job))).collect();
        slots.sort_unstable();
        // All are free before the first is handed on.
        for (n, job) in &slots {
            self.model.key_of(*job).slots.remove(n);
        }
        // One of them may come to the slot of another.
        for (n, job) in slots {
            self.model.hand_on(job, n, 0);
        }
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
        let held = std::mem::take(&mut self.held);
        let mut by_claim: BTreeMap<i64, Vec<JobId>> = BTreeMap::new();
        for job in held {
            by_claim.entry(job.claim_id).or_default().push(job.job_id);
        }
        for (claim_id, jobs) in by_claim {
            let with_runs = self.with_runs.contains(&claim_id);
            self.lose(pool, &jobs, with_runs).await;
        }
        self.hand = Hand::new(pool).await;
        "the worker dies".into()
    }
}

#[tokio::test]
async fn random_operations_and_crashes_leave_the_places_and_slots_of_the_model() {
    for seed in [20_261_128, 1, 2] {
        walk(seed).await;
    }
}

async fn walk(seed: u64) {
    let db = Database::new().await;
    sqlx::query("update engine.retry_config set max_attempts = 1000, alert_on_attempt = null, escalate_on_attempt = null where error_category = 'conflict'")
        .execute(db.pool())
        .await
        .expect("a patient policy");
    for (name, in_order) in KEYS {
        limit(db.pool(), name, 2, in_order).await;
    }
    let mut rng = StdRng::seed_from_u64(seed);
    let mut walk = Walk { model: Model::new(), hand: Hand::new(db.pool()).await, held: Vec::new(), with_runs: BTreeSet::new(), longest: 0 };
    for step in 0..600 {
        let what = walk.step(db.pool(), &mut rng).await;
        same(db.pool(), &walk.model, &format!("step {step}, {what} (seed {seed})")).await;
    }
    let most: usize = walk.model.keys.values().map(|key| key.slots.len()).sum();
    assert_eq!(walk.longest, 3, "runs were as long as they may be");
    assert!(most > 0 && walk.model.jobs.len() > 100, "the walk did something");
    walk.hand.die().await;
    for job in walk.held {
        claim::rescue(&mut walk.hand.connection, Orphan { worker_id: walk.hand.id, id: job.claim_id }).await.expect("rescued");
    }
    ledger::check(db.pool()).await;
}
