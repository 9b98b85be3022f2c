//! The ways in which one program is enqueued: by the client, by the SQL function, and over HTTP.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use engine::{Client, NewJob};
use rand::{RngExt, rngs::StdRng};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, PgPool};
use web::api::{Scope, tokens};

use crate::{
    kinds::QUEUE,
    program::{Manner, Played, Program},
    stage::Stage,
    wait::about_data,
};

/// How a program is enqueued, with an idempotency key in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By the client.
    Client,
    /// By the SQL function.
    Sql,
    /// By a request to a web process.
    Http,
}

/// The job, and whether the call made it.
type Made = (i64, bool);

impl Way {
    /// One that can enqueue this program.
    pub fn of(random: &mut StdRng, program: &Program) -> Self {
        let chance = random.random_range(0..12);
        match program.manner {
            // How programs replace each other is not the SQL function's part, and requests have whole seconds to wait for each other.
            Manner::Yields if chance < 3 && program.played != Played::Together => Self::Sql,
            Manner::Yields | Manner::Replaces if chance >= 9 => Self::Http,
            _ => Self::Client,
        }
    }

    /// Asks once. What is wrong with the program is the answer: to ask again would be in vain.
    ///
    /// # Errors
    /// Any other: nobody knows whether the job was made.
    pub async fn ask(self, stage: &Stage, producer: &str, program: &Program) -> anyhow::Result<anyhow::Result<Made>> {
        let asked = match self {
            Self::Client => by_client(stage, program.job().idempotency_key(producer, &program.key)).await,
            Self::Sql => by_sql(stage, producer, program).await,
            Self::Http => return stage.api.enqueue(program).await,
        };
        match asked {
            Err(error) if about_data(&error) => Ok(Err(error.into())),
            answer => Ok(Ok(answer?)),
        }
    }
}

async fn by_client(stage: &Stage, job: NewJob) -> Result<Made, sqlx::Error> {
    match Client::new(stage.producers.clone()).enqueue(&job).await {
        Ok(enqueued) => Ok((enqueued.id.0, enqueued.created)),
        Err(engine::StoreError::Database(error)) => Err(error),
        Err(other) => Err(sqlx::Error::Protocol(other.to_string())),
    }
}

async fn by_sql(stage: &Stage, producer: &str, program: &Program) -> Result<Made, sqlx::Error> {
    let mut connection = PgConnection::connect(&stage.to_producers.url(&stage.database.name)).await?;
    sqlx::query_as(
        "select id, created from engine.enqueue($1, $2, $3, $4, case when $5 > 0 then engine.now() + $5 * interval '1 ms' end,
         unique_key => $6, producer => $7, idempotency_key => $8, max_attempts => $9, limit_key => $10,
         deadline => engine.now() + $11::bigint * interval '1 ms')",
    )
    .bind(program.kind())
    .bind(arguments(program))
    .bind(QUEUE)
    .bind(program.priority)
    .bind(program.delay_ms as i64)
    .bind(&program.unique)
    .bind(producer)
    .bind(&program.key)
    .bind(program.max_attempts)
    .bind(&program.limit)
    .bind(program.deadline_ms.map(|ms| ms as i64))
    .fetch_one(&mut connection)
    .await
}

fn arguments(program: &Program) -> Value {
    json!({ "key": program.key, "acts": program.acts, "chaff": program.chaff })
}

/// The web processes of a run as producers use them, one after the other.
pub struct Api {
    http: reqwest::Client,
    ports: Vec<u16>,
    token: String,
    turn: AtomicUsize,
}

impl Api {
    /// Makes a token for web processes at these ports.
    ///
    /// # Errors
    /// The database's.
    pub async fn new(pool: &PgPool, ports: Vec<u16>) -> anyhow::Result<Self> {
        let token = tokens::create(pool, "ordeal", &[Scope::JobsWrite], "the ordeal", None).await?;
        let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).no_proxy().build()?;
        Ok(Self { http, ports, token, turn: AtomicUsize::default() })
    }

    async fn enqueue(&self, program: &Program) -> anyhow::Result<anyhow::Result<Made>> {
        let port = self.ports[self.turn.fetch_add(1, Ordering::Relaxed) % self.ports.len()];
        let answer = self
            .http
            .post(format!("http://127.0.0.1:{port}/v1/jobs"))
            .bearer_auth(&self.token)
            .header("idempotency-key", &program.key)
            .json(&request(program))
            .send()
            .await?;
        let status = answer.status();
        let said: Value = answer.json().await?;
        if status.is_client_error() && !matches!(status.as_u16(), 408 | 429) {
            return Ok(Err(anyhow::anyhow!("{status}: {said}")));
        }
        anyhow::ensure!(status.is_success(), "{status}: {said}");
        let id = said["id"].as_str().and_then(|id| id.parse().ok()).ok_or_else(|| anyhow::anyhow!("no id in {said}"))?;
        Ok(Ok((id, said["created"] == true)))
    }
}

fn request(program: &Program) -> Value {
    let after = |ms: u64| (chrono::Utc::now() + Duration::from_millis(ms)).to_rfc3339();
    json!({
        "kind": program.kind(),
        "args": arguments(program),
        "priority": program.priority,
        "run_at": (program.delay_ms > 0).then(|| after(program.delay_ms)),
        "deadline": program.deadline_ms.map(after),
        "unique_key": program.unique,
        "replace": program.manner == Manner::Replaces,
        "max_attempts": program.max_attempts,
        "limit_key": program.limit,
    })
}
