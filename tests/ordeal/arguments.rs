//! What `ordeal` is told on its command line.

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use ordeal::{process::place::Target, sizes};

/// The whole engine under random programs and random faults, judged by a model and a ledger outside of it.
#[derive(Parser)]
#[command(args_override_self = true)]
pub struct Arguments {
    /// A series that has a name; what is said beside it counts for more.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(sizes::names()))]
    pub size: Option<String>,
    /// The first seed; each further run takes the next one.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    pub runs: u64,
    /// How long load and faults go on in each run.
    #[arg(long = "for", default_value = "30s", value_parser = humantime::parse_duration)]
    pub time: Duration,
    /// What strikes: all that this machine allows, none, or classes with commas between them.
    #[arg(long, default_value = "all")]
    pub faults: String,
    /// The middle of the pause of one hand between two faults of processes.
    #[arg(long, default_value = "900ms", value_parser = humantime::parse_duration)]
    pub pause: Duration,
    /// The same of the server and of the way to it.
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    pub server_pause: Duration,
    /// Only there processes come to harm between two statements: places with commas between them, each like
    /// `stop before claim/take`.
    #[arg(long, value_delimiter = ',')]
    pub places: Vec<Target>,
    /// Programs a second.
    #[arg(long, default_value_t = 60.0)]
    pub rate: f64,
    /// Whether processes reach the server through PgBouncer: `yes`, `no`, or as the seed says.
    #[arg(long, value_parser = ["yes", "no", "seed"], default_value = "seed")]
    pub pooler: String,
    /// The program that workers of the older version are started from: this one built from an earlier commit.
    #[arg(long)]
    pub older: Option<PathBuf>,
    /// Also runs the seeds that failed once, unless the journal has a run of them by this commit.
    #[arg(long)]
    pub kept: bool,
    /// Adds each run, and each part of bad inputs, to the journal of this folder, and writes its page. Seeds that the journal
    /// has are not run again: the same command goes on where it was ended.
    #[arg(long)]
    pub results: Option<PathBuf>,
    /// Runs seeds that the journal has all the same.
    #[arg(long)]
    pub again: bool,
    /// So many runs go on beside each other, each in a process of its own; 0 runs one after the other in this one.
    #[arg(long, default_value_t = 0)]
    pub beside: usize,
    /// Where seeds that fail are kept.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/seeds"))]
    pub seeds: PathBuf,
    /// Tries so many changed webhooks, and nothing else.
    #[arg(long)]
    pub webhooks: Option<u64>,
    /// Tries so many rows edited by hand, calls by SQL and requests over HTTP, and ten times as many values, and nothing else.
    #[arg(long)]
    pub inputs: Option<u64>,
    /// How long everything may take to end after the last heal.
    #[arg(long, default_value = "150s", value_parser = humantime::parse_duration)]
    pub drain: Duration,
    /// Plants this bug in every process of the run.
    #[cfg(feature = "planted")]
    #[arg(long)]
    pub planted: Option<String>,
    /// Looks for planted bugs with up to `runs` seeds each, adds each run to the journal of this folder, and writes its page.
    #[cfg(feature = "planted")]
    #[arg(long)]
    pub detect: Option<PathBuf>,
    /// Looks for them in runs of a gate, in which everything strikes, and not what provokes each.
    #[cfg(feature = "planted")]
    #[arg(long)]
    pub as_gate: bool,
    /// Only these planted bugs.
    #[cfg(feature = "planted")]
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// Where runs have their folders, and the server its data.
    #[arg(long, default_value = "target/ordeal")]
    pub folder: PathBuf,
}
