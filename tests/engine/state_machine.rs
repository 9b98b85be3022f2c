//! The state machine of a job against a model of it: random acts of workers, operators and rescuers, some of which are cut
//! off before their COMMIT, results of the dead and results told twice among them. After each act both agree on the place,
//! the next attempt and the whole ledger of every job.

use std::collections::BTreeMap;

use engine::{
    Category, JobId,
    store::{
        attempt::{self, Verdict},
        cancel_request::{self, Cancelled},
        claim::{self, Claimed},
        doctor, scheduled,
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::{Connection, PgConnection, PgPool};

use super::hand::{Hand, done, due_now, ended, enqueue, failed, wanted};
use crate::support::Database;

const ACTS: usize = 220;
const SEEDS: u64 = 6;
/// What the policy allows in this test.
const MOST_FAILURES: usize = 3;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Ready,
    Scheduled { alone: bool },
    Running { claim_id: i64, worker: i64, alone: bool },
    Ended(&'static str),
}

/// What should be known of a job.
#[derive(Debug)]
struct Known {
    place: Place,
    outcomes: Vec<&'static str>,
    asked: bool,
    lost_alone: usize,
}

impl Known {
    fn count(&self, outcome: &str) -> usize {
        self.outcomes.iter().filter(|known| **known == outcome).count()
    }

    fn end(&mut self, outcome: &'static str, place: Place) {
        self.outcomes.push(outcome);
        self.place = place;
    }

    /// What the end of its attempt makes of it.
    fn settle(&mut self, verdict: &Verdict) {
        let again = matches!(verdict, Verdict::Failed { .. } | Verdict::Snoozed(_) | Verdict::Released);
        match verdict {
            _ if again && self.asked => self.end("cancelled", Place::Ended("cancelled")),
            Verdict::Failed { .. } if self.count("failed") + 1 >= MOST_FAILURES => self.end("dead", Place::Ended("dead")),
            Verdict::Failed { .. } => self.end("failed", Place::Scheduled { alone: false }),
            Verdict::Snoozed(_) => self.end("snoozed", Place::Scheduled { alone: false }),
            Verdict::Released => self.end("released", Place::Ready),
            Verdict::Cancelled(_) | Verdict::Stale => self.end("cancelled", Place::Ended("cancelled")),
            _ => self.end("completed", Place::Ended("completed")),
        }
    }

    /// What the death of its worker makes of it.
    fn rescue(&mut self, alone: bool) {
        self.lost_alone += usize::from(alone);
        match (self.asked, self.lost_alone, self.count("lost")) {
            (true, ..) => self.end("cancelled", Place::Ended("cancelled")),
            (_, 3.., _) => self.end("dead", Place::Ended("dead")),
            (_, _, 0) => self.end("lost", Place::Ready),
            _ => self.end("lost", Place::Scheduled { alone: true }),
        }
    }
}

/// The system, its model, and all that was ever claimed: a result may be told late, or twice.
struct Walk {
    db: Database,
    chance: StdRng,
    workers: Vec<Hand>,
    known: BTreeMap<JobId, Known>,
    claimed: Vec<(i64, Claimed)>,
}

impl Walk {
    async fn new(seed: u64) -> Self {
        let db = Database::new().await;
        sqlx::query(
            "update engine.retry_config set max_attempts = 3, backoff_seconds = '{0}', alert_on_attempt = null, escalate_on_attempt = null",
        )
        .execute(db.pool())
        .await
        .expect("a simple policy");
        let workers = vec![Hand::new(db.pool()).await, Hand::new(db.pool()).await];
        Self { db, chance: StdRng::seed_from_u64(seed), workers, known: BTreeMap::new(), claimed: Vec::new() }
    }

    async fn act(&mut self) {
        let cut_off = self.chance.random_bool(0.2);
        match self.chance.random_range(0..12) {
            0 | 1 => self.enqueue().await,
            2 | 3 => self.take(cut_off).await,
            4 => self.take_suspect(cut_off).await,
            5..=8 => self.tell_result(cut_off).await,
            9 => self.promote(cut_off).await,
            10 => self.cancel().await,
            _ => self.die().await,
        }
    }

    async fn enqueue(&mut self) {
        let jobs = self.chance.random_range(1..4);
        for id in enqueue(self.db.pool(), jobs).await {
            self.known.insert(id, Known { place: Place::Ready, outcomes: Vec::new(), asked: false, lost_alone: 0 });
        }
    }

    async fn take(&mut self, cut_off: bool) {
        let limit: usize = self.chance.random_range(1..6);
        let turn = self.chance.random_range(0..self.workers.len());
        let hand = &mut self.workers[turn];
        let (kinds, queues) = (hand.kinds.clone(), hand.queues.clone());
        let wanted = wanted(hand.id, &kinds, &queues, limit as i64);
        let mut tx = hand.connection.begin().await.expect("a transaction");
        let (_, jobs) = claim::take(&mut tx, &wanted).await.expect("claimed");
        let ready = self.known.values().filter(|known| known.place == Place::Ready).count();
        assert_eq!(jobs.len(), ready.min(limit), "all that is ready is found");
        if cut_off {
            return tx.rollback().await.expect("cut off");
        }
        tx.commit().await.expect("committed");
        let worker = hand.id;
        self.hold(worker, jobs, false);
    }

    async fn take_suspect(&mut self, cut_off: bool) {
        due_now(self.db.pool()).await;
        let hand = &mut self.workers[0];
        let (worker, kinds, queues) = (hand.id, hand.kinds.clone(), hand.queues.clone());
        let mut tx = hand.connection.begin().await.expect("a transaction");
        let job = claim::take_alone(&mut tx, worker, &kinds, &queues).await.expect("answered");
        let suspects = self.known.values().any(|known| known.place == Place::Scheduled { alone: true });
        assert_eq!(job.is_some(), suspects);
        if cut_off {
            return tx.rollback().await.expect("cut off");
        }
        tx.commit().await.expect("committed");
        self.hold(worker, job.into_iter().collect(), true);
    }

    fn hold(&mut self, worker: i64, jobs: Vec<Claimed>, alone: bool) {
        for job in jobs {
            let known = self.known.get_mut(&job.job_id).expect("nobody invents jobs");
            let was = if alone { Place::Scheduled { alone: true } } else { Place::Ready };
            assert_eq!((&known.place, known.outcomes.len() as i32 + 1), (&was, job.attempt), "job {}", job.job_id);
            known.place = Place::Running { claim_id: job.claim_id, worker, alone };
            self.claimed.push((worker, job));
        }
    }

    async fn tell_result(&mut self, cut_off: bool) {
        if self.claimed.is_empty() {
            return;
        }
        // Mostly of late, since what is old has mostly ended.
        let old = self.chance.random_bool(0.2);
        let from = if old { 0 } else { self.claimed.len().saturating_sub(6) };
        let (worker, job) = self.claimed[self.chance.random_range(from..self.claimed.len())].clone();
        let verdict = match self.chance.random_range(0..8) {
            0..=2 => done(),
            3 | 4 => failed(Category::Network),
            5 => Verdict::Snoozed(0),
            6 => Verdict::Released,
            _ => Verdict::Cancelled("not needed".into()),
        };
        let known = self.known.get_mut(&job.job_id).expect("nobody invents jobs");
        let open = matches!(known.place, Place::Running { claim_id, .. } if claim_id == job.claim_id);
        let end = [ended(&job, verdict.clone())];
        let mut connection = self.db.pool().acquire().await.expect("a connection");
        let mut tx = connection.begin().await.expect("a transaction");
        let late = match &verdict {
            Verdict::Completed(_) => attempt::complete(&mut tx, worker, &end, &[job.claim_id]).await,
            _ => attempt::settle(&mut tx, worker, &end, &[1.0], &[job.claim_id]).await,
        };
        assert_eq!(late.expect("recorded").is_empty(), open, "job {}: {verdict:?}", job.job_id);
        if cut_off {
            return tx.rollback().await.expect("cut off");
        }
        tx.commit().await.expect("committed");
        if open {
            known.settle(&verdict);
        }
    }

    async fn promote(&mut self, cut_off: bool) {
        due_now(self.db.pool()).await;
        let mut tx = self.db.pool().begin().await.expect("a transaction");
        scheduled::promote(&mut tx, chrono::DateTime::UNIX_EPOCH, 1000).await.expect("promoted");
        if cut_off {
            return tx.rollback().await.expect("cut off");
        }
        tx.commit().await.expect("committed");
        for known in self.known.values_mut().filter(|known| known.place == Place::Scheduled { alone: false }) {
            known.place = Place::Ready;
        }
    }

    async fn cancel(&mut self) {
        let Some(turn) = self.known.len().checked_sub(1).map(|last| self.chance.random_range(0..=last)) else { return };
        let (id, known) = self.known.iter_mut().nth(turn).expect("within");
        let answer = cancel_request::cancel(self.db.pool(), *id, "ann", None).await.expect("answered");
        let expected = match &known.place {
            Place::Ended(end) => Cancelled::Already((*end).into()),
            Place::Running { .. } => Cancelled::Requested,
            _ => Cancelled::Cancelled,
        };
        assert_eq!(answer, expected, "job {id}");
        match answer {
            Cancelled::Cancelled => known.end("cancelled", Place::Ended("cancelled")),
            Cancelled::Requested => known.asked = true,
            Cancelled::Already(_) => {}
        }
    }

    /// A worker dies and is rescued; another takes its place.
    async fn die(&mut self) {
        let turn = self.chance.random_range(0..self.workers.len());
        let mut dead = std::mem::replace(&mut self.workers[turn], Hand::new(self.db.pool()).await);
        dead.die().await;
        rescue_all(&mut dead.connection).await;
        for known in self.known.values_mut() {
            if let Place::Running { worker, alone, .. } = known.place
                && worker == dead.id
            {
                known.rescue(alone);
            }
        }
    }

    async fn compare(&self) {
        let stored = stored(self.db.pool()).await;
        assert_eq!(stored.len(), self.known.len());
        for ((id, state, next, outcomes), (known_id, known)) in stored.iter().zip(&self.known) {
            let place = match &known.place {
                Place::Ready => "ready",
                Place::Scheduled { .. } => "scheduled",
                Place::Running { .. } => "running",
                Place::Ended(end) => end,
            };
            let attempt = known.outcomes.len() as i32 + i32::from(!matches!(known.place, Place::Ended(_)));
            assert_eq!(
                (*id, state.as_str(), *next, outcomes),
                (*known_id, place, Some(attempt), &known.outcomes.iter().map(ToString::to_string).collect())
            );
        }
    }
}

async fn rescue_all(connection: &mut PgConnection) {
    for orphan in claim::orphans(connection, 0, 1000).await.expect("read") {
        claim::rescue(connection, orphan).await.expect("rescued");
    }
}

type Stored = (JobId, String, Option<i32>, Vec<String>);

async fn stored(pool: &PgPool) -> Vec<Stored> {
    sqlx::query_as(
        "select s.id, s.state, s.attempt,
            array(select a.outcome from engine.attempt a where a.job_id = s.id order by a.attempt) as outcomes
         from engine.job_state s order by s.id",
    )
    .fetch_all(pool)
    .await
    .expect("states can be read")
}

#[tokio::test]
async fn every_job_is_where_the_model_says_after_any_acts_and_crashes() {
    for seed in 0..SEEDS {
        let mut walk = Walk::new(seed).await;
        for act in 0..ACTS {
            walk.act().await;
            if act % 5 == 4 {
                walk.compare().await;
            }
        }
        walk.compare().await;
        let reached: usize = ["completed", "failed", "snoozed", "released", "lost", "cancelled", "dead"]
            .iter()
            .filter(|outcome| walk.known.values().any(|known| known.count(outcome) > 0))
            .count();
        assert!(reached >= 6, "seed {seed} came to {reached} of seven outcomes");
        while let Some(mut hand) = walk.workers.pop() {
            hand.die().await;
            rescue_all(&mut hand.connection).await;
        }
        let faults = doctor::examine(walk.db.pool()).await.expect("examined");
        assert!(faults.iter().all(|finding| finding.severity != doctor::Severity::Fault), "seed {seed}: {faults:?}");
    }
}
