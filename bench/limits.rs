//! What a limit costs: the same drain without one, under limits of keys, and under a limit of the kind.

use engine::{
    Client, NewJob,
    store::{
        limit::{self, Change},
        pause::Scope,
    },
};
use sqlx::PgPool;

use super::{
    Figures,
    load::{self, NoOp},
};

/// Keys that the jobs are spread over, and the cap of each.
const KEYS: usize = 1000;
const CAP: i32 = 10;

/// Drains `jobs` jobs in each way, `rounds` times, and prints each rate beside the one without a limit.
pub async fn compare(pool: &PgPool, jobs: usize, rounds: usize) -> anyhow::Result<()> {
    let mut figures = Figures::default();
    let at_once = |cap| Change { cap: Some(cap), ..Change::default() };
    limit::set(pool, Scope::Key, "bench:*", at_once(CAP), "the benchmark").await?;
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        load::empty(pool).await?;
        enqueue(pool, jobs, false).await?;
        let plain = load::drain(pool, jobs, 1).await?;
        load::empty(pool).await?;
        enqueue(pool, jobs, true).await?;
        let keyed = load::drain(pool, jobs, 1).await?;
        load::empty(pool).await?;
        limit::set(pool, Scope::Kind, "bench.no_op", at_once(10_000), "the benchmark").await?;
        enqueue(pool, jobs, false).await?;
        let of_kind = load::drain(pool, jobs, 1).await?;
        limit::unset(pool, Scope::Kind, "bench.no_op").await?;
        figures.note("drain without a limit (jobs/s)", plain);
        figures.note(&format!("drain of {KEYS} keys with a cap of {CAP} (jobs/s)"), keyed);
        figures.note("drain of a kind with a limit (jobs/s)", of_kind);
        figures.note("keys: share of the rate without a limit", keyed / plain);
        figures.note("kind: share of the rate without a limit", of_kind / plain);
    }
    figures.print();
    Ok(())
}

async fn enqueue(pool: &PgPool, jobs: usize, keyed: bool) -> anyhow::Result<()> {
    let client = Client::new(pool.clone());
    for start in (0..jobs).step_by(1000) {
        let batch: Vec<NewJob> = (start..start + 1000)
            .map(|n| {
                let job = NewJob::of(&NoOp { n })?;
                anyhow::Ok(if keyed { job.limit_key(format!("bench:{}", n % KEYS)) } else { job })
            })
            .collect::<anyhow::Result<_>>()?;
        client.enqueue_many(&batch).await?;
    }
    Ok(())
}
