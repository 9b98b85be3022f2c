//! Measures rawops beside the raw statements it stands on and beside its peers, on one machine in one run.
//!
//! `cargo run --release -p bench -- all --record` writes `bench/results.json`, from which the README's table is made.

mod child;
mod figures;
mod instructions;
mod kinds;
mod machine;
mod page;
mod peers;
mod server;
mod stage;
mod targets;
mod workloads;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use figures::Figures;
use stage::Stage;
use workloads::Workload;

#[derive(Parser)]
#[command(about = "Measures rawops beside raw SQL and its peers on the same machine")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Every workload, and every peer that is installed.
    All(Options),
    /// Some workloads; `list` names them.
    Only {
        /// Names of workloads.
        #[arg(required = true)]
        workloads: Vec<Workload>,
        #[command(flatten)]
        options: Options,
    },
    /// Names the workloads, and the peers with whether each is installed.
    List,
    /// Writes the README's table anew from the recorded results.
    Table,
    /// Counts the instructions of a job in the worker process, with valgrind.
    Instructions {
        /// Fail above the bound that is kept in `bench/instructions.txt`.
        #[arg(long)]
        check: bool,
    },
    #[command(flatten)]
    Child(child::Role),
}

/// How much is measured.
#[derive(clap::Args, Clone)]
struct Options {
    /// A database to measure in, whose schema `engine` is emptied; without it a private server is started for the run.
    #[arg(long, env = "BENCH_DATABASE_URL")]
    database: Option<String>,
    /// Rounds, in each of which every workload has its turn; medians are shown.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Jobs of a drain.
    #[arg(long, default_value_t = 200_000)]
    jobs: usize,
    /// Seconds that a transaction is held open.
    #[arg(long, default_value_t = 600)]
    hold: u64,
    /// Jobs that are scheduled for later while others run.
    #[arg(long, default_value_t = 10_000_000)]
    scheduled: usize,
    /// Leave the peers out.
    #[arg(long)]
    alone: bool,
    /// Write the results to `bench/results.json` and the README's table.
    #[arg(long)]
    record: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().what {
        What::All(options) => measure(&Workload::ALL, options).await,
        What::Only { workloads, options } => measure(&workloads, options).await,
        What::List => {
            list();
            Ok(())
        }
        What::Table => page::write(&page::recorded()?),
        What::Instructions { check } => {
            let stage = Stage::set(Options::default()).await?;
            let counted = instructions::measure(&stage, check).await;
            stage.strike().await?;
            counted
        }
        What::Child(role) => role.run().await,
    }
}

fn list() {
    for workload in Workload::ALL {
        println!("{:<20} {}", workload.name(), workload.meaning());
    }
    for peer in peers::all() {
        println!("{:<20} {}", peer.name, if peer.is_installed() { "installed" } else { "absent: bench/peers/install" });
    }
}

async fn measure(workloads: &[Workload], options: Options) -> anyhow::Result<()> {
    let (record, rounds, alone) = (options.record, options.rounds, options.alone);
    let stage = Stage::set(options).await?;
    let mut figures = Figures::default();
    let measured = rounds_of(&stage, workloads, rounds, &mut figures).await;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = format!("cargo run --release -p bench -- {}", arguments.join(" "));
    let results = page::Results { machine: machine::describe(&stage.server_version), command, rounds, peers: beside(alone), figures };
    println!("{}", page::report(&results));
    stage.strike().await?;
    measured?;
    if record {
        page::record(&results)?;
        page::write(&results)?;
    }
    Ok(())
}

/// The peers that are measured, and those that are not installed.
fn beside(alone: bool) -> (Vec<String>, Vec<String>) {
    let (installed, absent): (Vec<_>, Vec<_>) = peers::all().into_iter().partition(|peer| peer.is_installed() && !alone);
    let names = |peers: Vec<peers::Peer>| peers.into_iter().map(|peer| peer.name).collect();
    (names(installed), if alone { Vec::new() } else { names(absent) })
}

async fn rounds_of(stage: &Stage, workloads: &[Workload], rounds: usize, figures: &mut Figures) -> anyhow::Result<()> {
    for round in 1..=rounds {
        for workload in workloads.iter().filter(|workload| round == 1 || !workload.is_long()) {
            eprintln!("round {round} of {rounds}: {}", workload.name());
            workload.measure(stage, figures).await?;
            if !stage.options.alone {
                peers::measure(stage, *workload, figures).await?;
            }
        }
    }
    Ok(())
}

impl Default for Options {
    /// What the command line's defaults are, in a private server.
    fn default() -> Self {
        Self { database: None, rounds: 5, jobs: 200_000, hold: 600, scheduled: 10_000_000, alone: true, record: false }
    }
}

/// The folder of this package, where results and peers are.
fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
