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
    /// Add the rounds to those that are recorded, of the same build on the same machine; implies `record`.
    #[arg(long)]
    more: bool,
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
    let (record, more, rounds, alone) = (options.record || options.more, options.more, options.rounds, options.alone);
    let stage = Stage::set(options).await?;
    let begun = begin(&stage, more, alone);
    let Ok(mut results) = begun else {
        stage.strike().await?;
        return begun.map(drop);
    };
    let mut measured = Ok(());
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        measured = one_round(&stage, workloads, round == 1, &mut results).await;
        if measured.is_err() {
            break;
        }
        if record {
            page::record(&results)?;
            page::write(&results)?;
        }
    }
    println!("{}", page::report(&results));
    stage.strike().await?;
    measured
}

/// The results before the first round of this run: none, or with `more` those that are recorded.
fn begin(stage: &Stage, more: bool, alone: bool) -> anyhow::Result<page::Results> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = format!("cargo run --release -p bench -- {}", arguments.join(" "));
    let (machine, build) = (machine::describe(&stage.server_version), machine::build());
    if !more {
        return Ok(page::Results { machine, build, commands: vec![command], rounds: 0, peers: beside(alone), figures: Figures::default() });
    }
    let mut results = page::recorded()?;
    results.require_same(&machine, build.as_deref())?;
    if !results.commands.contains(&command) {
        results.commands.push(command);
    }
    let (measured, absent) = beside(alone);
    results.peers.0.extend(measured.iter().filter(|name| !results.peers.0.contains(name)).cloned().collect::<Vec<_>>());
    results.peers.1 = absent.into_iter().filter(|name| !results.peers.0.contains(name)).collect();
    Ok(results)
}

/// The peers that are measured, and those that are not installed.
fn beside(alone: bool) -> (Vec<String>, Vec<String>) {
    let (installed, absent): (Vec<_>, Vec<_>) = peers::all().into_iter().partition(|peer| peer.is_installed() && !alone);
    let names = |peers: Vec<peers::Peer>| peers.into_iter().map(|peer| peer.name).collect();
    (names(installed), if alone { Vec::new() } else { names(absent) })
}

async fn one_round(stage: &Stage, workloads: &[Workload], first: bool, results: &mut page::Results) -> anyhow::Result<()> {
    results.figures.round = results.rounds + 1;
    for workload in workloads.iter().filter(|workload| first || !workload.is_long()) {
        eprintln!("  {}", workload.name());
        workload.measure(stage, &mut results.figures).await?;
        if !stage.options.alone {
            peers::measure(stage, *workload, &mut results.figures).await?;
        }
    }
    results.rounds += 1;
    Ok(())
}

impl Default for Options {
    /// What the command line's defaults are, in a private server.
    fn default() -> Self {
        Self { database: None, rounds: 5, jobs: 200_000, hold: 600, scheduled: 10_000_000, alone: true, record: false, more: false }
    }
}

/// The folder of this package, where results and peers are.
fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
