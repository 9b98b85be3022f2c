//! The ceiling: the same inserts, claims and completions as plain SQL, with no engine around.

use std::time::Instant;

use sqlx::{Connection, PgConnection, PgPool};

const BATCH: i64 = 500;

/// Inserts `jobs` jobs in batches of 1000; jobs per second.
pub async fn enqueue(pool: &PgPool, jobs: usize) -> anyhow::Result<f64> {
    crate::load::empty(pool).await?;
    sqlx::query("insert into engine.lane (queue, kind, priority) values ('default', 'bench.no_op', 5) on conflict do nothing")
        .execute(pool)
        .await?;
    let begun = Instant::now();
    for _ in 0..jobs / 1000 {
        sqlx::query(
            "with new as (select nextval('engine.position') as id from generate_series(1, 1000)),
             j as (insert into engine.job (id, lane_id, args)
                   select id, (select id from engine.lane where kind = 'bench.no_op'), '{\"n\": 1}' from new)
             insert into engine.ready (lane_id, attempt, position, job_id)
             select (select id from engine.lane where kind = 'bench.no_op'), 1, id, id from new",
        )
        .execute(pool)
        .await?;
    }
    Ok(jobs as f64 / begun.elapsed().as_secs_f64())
}

/// Claims and completes `jobs` jobs with `clients` connections; jobs per second.
pub async fn drain(pool: &PgPool, jobs: usize, clients: usize) -> anyhow::Result<f64> {
    let options = pool.connect_options();
    let worker: i64 =
        sqlx::query_scalar("insert into engine.worker (name, lease_until) values ('raw', now() + interval '1 hour') returning id")
            .fetch_one(pool)
            .await?;
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..clients {
        let mut connection = PgConnection::connect_with(&options).await?;
        tasks.push(tokio::spawn(async move { drain_on(&mut connection, worker, jobs / clients).await }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(jobs as f64 / begun.elapsed().as_secs_f64())
}

async fn drain_on(connection: &mut PgConnection, worker: i64, jobs: usize) -> anyhow::Result<()> {
    let (mut done, mut floor) = (0, 0_i64);
    while done < jobs {
        let rows: Vec<(i64, i32, i64, String)> = sqlx::query_as(
            "with picked as (
                 delete from engine.ready where ctid = any (array(
                     select ctid from engine.ready
                     where lane_id = (select id from engine.lane where kind = 'bench.no_op') and position > $3
                     order by position limit $2 for update skip locked))
                 returning job_id, attempt),
             held as (insert into engine.claim (worker_id, ids, attempts) select $1, array_agg(job_id), array_agg(attempt) from picked having count(*) > 0 returning id)
             select p.job_id, p.attempt, held.id, j.args::text from held, picked p join engine.job j on j.id = p.job_id",
        )
        .bind(worker)
        .bind(BATCH)
        .bind(floor)
        .fetch_all(&mut *connection)
        .await?;
        anyhow::ensure!(!rows.is_empty(), "nothing left to claim after {done} jobs");
        done += rows.len();
        floor = rows.iter().map(|row| row.0).max().unwrap_or(floor);
        sqlx::query(
            "with d as (delete from engine.claim where worker_id = $1 and id = $4)
             insert into engine.attempt (job_id, attempt, worker_id, started_at, finished_at, outcome)
             select u.i, u.n, $1, now(), now(), 'completed' from unnest($2::bigint[], $3::integer[]) u (i, n) order by 1 on conflict do nothing",
        )
        .bind(worker)
        .bind(rows.iter().map(|row| row.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
        .bind(rows[0].2)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
