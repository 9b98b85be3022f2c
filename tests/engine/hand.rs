//! A worker moved by hand, statement by statement, so that a test can stop it anywhere.

use chrono::{DateTime, Utc};
use engine::{
    Category, Client, JobId, NewJob,
    store::{
        attempt::{self, Ended, Verdict},
        claim::{self, Claimed, Wanted},
        scheduled, worker,
    },
};
use sqlx::{PgConnection, PgPool, pool::PoolConnection};

use super::jobs::of;
use crate::support::kinds::{self, NoOp};

/// A worker moved by hand, statement by statement.
pub struct Hand {
    pub connection: PoolConnection<sqlx::Postgres>,
    pub id: i64,
    pub kinds: Vec<String>,
    pub queues: Vec<String>,
}

impl Hand {
    pub async fn new(pool: &PgPool) -> Self {
        let mut connection = pool.acquire().await.expect("a connection");
        let id = worker::register(&mut connection, "hand", 60_000, &serde_json::json!({})).await.expect("registered");
        Self { connection, id, kinds: kinds::kinds().names(), queues: vec!["default".into()] }
    }

    pub async fn take(&mut self, limit: i64) -> Vec<Claimed> {
        let wanted = wanted(self.id, &self.kinds, &self.queues, limit);
        claim::take(&mut self.connection, &wanted).await.expect("claimed").1
    }

    /// Claims, with runs of so many jobs of a key in each lane.
    pub async fn take_runs(&mut self, limit: i64, run: i32) -> Vec<Claimed> {
        let lanes: Vec<i32> = sqlx::query_scalar("select id from engine.lane").fetch_all(&mut *self.connection).await.expect("the lanes");
        let wanted = Wanted {
            floors: vec![0; lanes.len()],
            quotas: vec![None; lanes.len()],
            boosts: vec![0; lanes.len()],
            runs: vec![run; lanes.len()],
            lanes,
            ..wanted(self.id, &self.kinds, &self.queues, limit)
        };
        claim::take(&mut self.connection, &wanted).await.expect("claimed").1
    }

    pub async fn settle(&mut self, ended: &[Ended]) -> Vec<(JobId, i32)> {
        let jitter = vec![1.0; ended.len()];
        let closing: Vec<i64> = ended.iter().map(|ended| ended.claim_id).collect();
        attempt::settle(&mut self.connection, self.id, ended, &jitter, &closing).await.expect("settled")
    }

    pub async fn complete(&mut self, ended: &[Ended]) -> Vec<(JobId, i32)> {
        let closing: Vec<i64> = ended.iter().map(|ended| ended.claim_id).collect();
        attempt::complete(&mut self.connection, self.id, ended, &closing).await.expect("completed")
    }

    pub async fn die(&mut self) {
        sqlx::query("update engine.worker set dead_at = engine.now() where id = $1")
            .bind(self.id)
            .execute(&mut *self.connection)
            .await
            .expect("declared dead");
    }

    /// Dies, and what it held is given back.
    pub async fn be_rescued(&mut self) {
        self.die().await;
        for orphan in claim::orphans(&mut self.connection, 0, 1000).await.expect("read") {
            claim::rescue(&mut self.connection, orphan).await.expect("rescued");
        }
    }
}

/// What a worker asks of a claim that knows no lane yet.
pub fn wanted<'a>(worker_id: i64, kinds: &'a [String], queues: &'a [String], limit: i64) -> Wanted<'a> {
    Wanted { worker_id, kinds, queues, limit, new_lane_quota: limit, in_front: true, ..Wanted::default() }
}

pub fn ended(job: &Claimed, verdict: Verdict) -> Ended {
    job.ended(10, verdict)
}

pub fn failed(category: Category) -> Verdict {
    Verdict::Failed { category, message: "on purpose".into(), retry_after_ms: None }
}

pub fn done() -> Verdict {
    Verdict::Completed(serde_json::Value::Null)
}

pub async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.expect("a count")
}

pub async fn enqueue(pool: &PgPool, jobs: i64) -> Vec<JobId> {
    let jobs: Vec<NewJob> = (0..jobs).map(|n| of(&NoOp { n })).collect();
    Client::new(pool.clone()).enqueue_many(&jobs).await.expect("enqueued").into_iter().flatten().collect()
}

pub async fn due_now(pool: &PgPool) {
    sqlx::query("update engine.scheduled set run_at = engine.now() - interval '1 second'").execute(pool).await.expect("made due");
}

pub async fn promote(connection: &mut PgConnection) {
    scheduled::promote(connection, DateTime::<Utc>::UNIX_EPOCH, 1000).await.expect("promoted");
}
