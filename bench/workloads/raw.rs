//! The ceiling: the same inserts, claims and completions as plain SQL in batches, with no engine around.

use std::time::Instant;

use sqlx::{Connection, PgConnection};

use crate::stage::Stage;

/// Jobs in a claim; the engine's claims are as large in the same run.
pub const BATCH: usize = 1000;

const CLAIM: &str = "
    with picked as (
        delete from engine.ready where ctid = any (array(
            select ctid from engine.ready
            where lane_id = (select id from engine.lane where kind = 'bench.no_op') and position > $3
            order by position limit $2 for update skip locked))
        returning job_id, attempt),
    held as (
        insert into engine.claim (worker_id, ids, attempts)
        select $1, array_agg(job_id), array_agg(attempt) from picked having count(*) > 0 returning id)
    select p.job_id, p.attempt, held.id, j.args::text from held, picked p join engine.job j on j.id = p.job_id";

const COMPLETE: &str = "
    with d as (delete from engine.claim where worker_id = $1 and id = $4)
    insert into engine.attempt (job_id, attempt, worker_id, started_at, finished_at, outcome)
    select u.i, u.n, $1, now(), now(), 'completed' from unnest($2::bigint[], $3::integer[]) u (i, n) order by 1 on conflict do nothing";

/// Makes the lane of the no-op jobs, and returns its id.
pub async fn lane(stage: &Stage) -> anyhow::Result<i32> {
    sqlx::query("insert into engine.lane (queue, kind, priority) values ('default', 'bench.no_op', 5) on conflict do nothing")
        .execute(&stage.pool)
        .await?;
    Ok(sqlx::query_scalar("select id from engine.lane where kind = 'bench.no_op' and queue = 'default'").fetch_one(&stage.pool).await?)
}

/// Claims and completes `jobs` jobs with `clients` connections; jobs per second.
pub async fn drain(stage: &Stage, jobs: usize, clients: usize) -> anyhow::Result<f64> {
    let options = stage.pool.connect_options();
    let worker: i64 =
        sqlx::query_scalar("insert into engine.worker (name, lease_until) values ('raw', now() + interval '1 hour') returning id")
            .fetch_one(&stage.pool)
            .await?;
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(PgConnection::connect_with(&options).await?);
    }
    let begun = Instant::now();
    let tasks: Vec<_> = connections.into_iter().map(|connection| tokio::spawn(drain_on(connection, worker))).collect();
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    anyhow::ensure!(done == jobs, "{done} of {jobs} jobs were claimed");
    Ok(jobs as f64 / begun.elapsed().as_secs_f64())
}

async fn drain_on(mut connection: PgConnection, worker: i64) -> anyhow::Result<usize> {
    let (mut done, mut floor) = (0, 0_i64);
    loop {
        let rows: Vec<(i64, i32, i64, String)> =
            sqlx::query_as(CLAIM).bind(worker).bind(BATCH as i64).bind(floor).fetch_all(&mut connection).await?;
        let Some(claim) = rows.first().map(|row| row.2) else { return Ok(done) };
        done += rows.len();
        floor = rows.iter().map(|row| row.0).max().unwrap_or(floor);
        let (ids, attempts): (Vec<i64>, Vec<i32>) = rows.iter().map(|row| (row.0, row.1)).unzip();
        sqlx::query(COMPLETE).bind(worker).bind(ids).bind(attempts).bind(claim).execute(&mut connection).await?;
    }
}
