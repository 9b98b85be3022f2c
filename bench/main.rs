//! Measures the engine beside the raw statements it stands on, on one machine in one run.

mod latency;
mod limits;
mod load;
mod raw;

use std::time::Duration;

use clap::{Parser, Subcommand};
use sqlx::{PgPool, postgres::PgPoolOptions};

#[derive(Parser)]
#[command(about = "Measures rawops beside the raw-SQL ceiling of the same machine")]
struct Arguments {
    /// The database to measure in, whose schema `engine` is emptied; without it a private server is started for the run.
    #[arg(long, env = "BENCH_DATABASE_URL")]
    database: Option<String>,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Enqueue, drain and pickup latency, beside the raw statements.
    Basics {
        /// Jobs a round.
        #[arg(long, default_value_t = 200_000)]
        jobs: usize,
        /// Rounds; medians are printed.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// What a limit costs: a drain without one, under limits of keys, and under a limit of the kind.
    Limits {
        /// Jobs a round.
        #[arg(long, default_value_t = 50_000)]
        jobs: usize,
        /// Rounds; medians are printed.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// Jobs in and out at once, with and without a transaction held open.
    Pinned {
        /// How long the transaction is held open.
        #[arg(long, default_value_t = 600)]
        seconds: u64,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let Some(url) = arguments.database else { return on_private_cluster(arguments.what).await };
    measure(&url, arguments.what).await
}

/// Measures on a fresh private server with the settings of kept data: fsync on, synchronous_commit on.
async fn on_private_cluster(what: What) -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("rawops-bench-{}", std::process::id()));
    let cluster = {
        let options = embedded::Options::kept(&folder);
        tokio::task::spawn_blocking(move || embedded::Cluster::start(&options)).await??
    };
    eprintln!("PostgreSQL {} in {}", cluster.version(), cluster.data_dir().display());
    let data = cluster.data_dir().to_path_buf();
    let measured = measure(&cluster.url("postgres"), what).await;
    tokio::task::spawn_blocking(move || cluster.stop()).await??;
    for left in [data.parent().map(std::path::Path::to_path_buf), Some(folder)].into_iter().flatten() {
        // The measurement is over; a folder that stays behind is only untidy.
        let _ = std::fs::remove_dir_all(left);
    }
    measured
}

async fn measure(url: &str, what: What) -> anyhow::Result<()> {
    let pool = PgPoolOptions::new().max_connections(40).connect(url).await?;
    migrations::run(&mut *pool.acquire().await?).await?;
    match what {
        What::Basics { jobs, rounds } => basics(&pool, jobs, rounds).await,
        What::Limits { jobs, rounds } => limits::compare(&pool, jobs, rounds).await,
        What::Pinned { seconds } => load::pinned(&pool, Duration::from_secs(seconds)).await,
    }
}

async fn basics(pool: &PgPool, jobs: usize, rounds: usize) -> anyhow::Result<()> {
    let mut figures = Figures::default();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        figures.note("raw: insert job and ready, batches of 1000 (jobs/s)", raw::enqueue(pool, jobs).await?);
        figures.note("raw: claim and complete, batches of 500, 1 client (jobs/s)", raw::drain(pool, jobs / 2, 1).await?);
        figures.note("raw: claim and complete, batches of 500, 2 clients (jobs/s)", raw::drain(pool, jobs / 2, 2).await?);
        figures.note("rawops: bulk enqueue, batches of 1000 (jobs/s)", load::bulk_enqueue(pool, jobs).await?);
        figures.note("rawops: drain, 1 worker (jobs/s)", load::drain(pool, jobs, 1).await?);
        load::bulk_enqueue(pool, jobs).await?;
        figures.note("rawops: drain, 4 workers (jobs/s)", load::drain(pool, jobs, 4).await?);
        for clients in [1, 8, 32] {
            figures.note(&format!("rawops: single enqueues, {clients} clients (jobs/s)"), load::single_enqueues(pool, clients).await?);
        }
        let (p50, p99) = latency::pickup(pool, 300).await?;
        figures.note("rawops: idle pickup p50 (ms)", p50);
        figures.note("rawops: idle pickup p99 (ms)", p99);
    }
    figures.print();
    Ok(())
}

/// What was measured, in order of first note.
#[derive(Default)]
struct Figures(Vec<(String, Vec<f64>)>);

impl Figures {
    fn note(&mut self, name: &str, value: f64) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => values.push(value),
            None => self.0.push((name.to_string(), vec![value])),
        }
    }

    fn print(&self) {
        println!("| figure | median | least | most |\n|---|---:|---:|---:|");
        for (name, values) in &self.0 {
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let digits = if sorted[0] < 100.0 { 2 } else { 0 };
            println!("| {name} | {:.digits$} | {:.digits$} | {:.digits$} |", sorted[sorted.len() / 2], sorted[0], sorted[sorted.len() - 1]);
        }
    }
}
