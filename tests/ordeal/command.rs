//! `ordeal`: runs the ordeal, or is one of its processes.

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use ordeal::{
    faults::Class,
    inputs,
    process::{self, place::Target},
    results::Results,
    run::{self, Settings},
    seeds,
    server::Server,
};

/// The whole engine under random programs and random faults, judged by a model and a ledger outside of it.
#[derive(Parser)]
struct Arguments {
    /// The first seed; each further run takes the next one.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// How long load and faults go on in each run.
    #[arg(long = "for", default_value = "30s", value_parser = humantime::parse_duration)]
    time: Duration,
    /// What strikes: all, none, or classes with commas between them.
    #[arg(long, default_value = "all")]
    faults: String,
    /// The middle of the pause of one hand between two faults of processes.
    #[arg(long, default_value = "900ms", value_parser = humantime::parse_duration)]
    pause: Duration,
    /// The same of the server and of the way to it.
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    server_pause: Duration,
    /// Only there processes come to harm between two statements: places with commas between them, each like
    /// `stop before claim/take`.
    #[arg(long, value_delimiter = ',')]
    places: Vec<Target>,
    /// Programs a second.
    #[arg(long, default_value_t = 60.0)]
    rate: f64,
    /// Whether processes reach the server through PgBouncer: `yes`, `no`, or as the seed says.
    #[arg(long, value_parser = ["yes", "no", "seed"], default_value = "seed")]
    pooler: String,
    /// The program that workers of the older version are started from: this one built from an earlier commit.
    #[arg(long)]
    older: Option<PathBuf>,
    /// Also runs the seeds that failed once.
    #[arg(long)]
    kept: bool,
    /// Writes the figures to this page after each run.
    #[arg(long)]
    results: Option<PathBuf>,
    /// Where seeds that fail are kept.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/seeds"))]
    seeds: PathBuf,
    /// Tries so many changed webhooks, and nothing else.
    #[arg(long)]
    webhooks: Option<u64>,
    /// Tries so many rows edited by hand, bad values, calls by SQL and requests over HTTP, and nothing else.
    #[arg(long)]
    inputs: Option<u64>,
    /// How long everything may take to end after the last heal.
    #[arg(long, default_value = "150s", value_parser = humantime::parse_duration)]
    drain: Duration,
    /// Plants this bug in every process of the run.
    #[cfg(feature = "planted")]
    #[arg(long)]
    planted: Option<String>,
    /// Looks for planted bugs with up to `runs` seeds each, adds each run to the journal of this folder, and writes its page.
    #[cfg(feature = "planted")]
    #[arg(long)]
    detect: Option<PathBuf>,
    /// How many runs with planted bugs go on beside each other.
    #[cfg(feature = "planted")]
    #[arg(long, default_value_t = 1)]
    beside: usize,
    /// Only these planted bugs.
    #[cfg(feature = "planted")]
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Where runs have their folders, and the server its data.
    #[arg(long, default_value = "target/ordeal")]
    folder: PathBuf,
}

fn main() -> ExitCode {
    if let Some(ended) = process::child::run() {
        return code(&ended);
    }
    let arguments = Arguments::parse();
    #[cfg(feature = "planted")]
    if let Some(folder) = &arguments.detect {
        return code(&detect(&arguments, folder));
    }
    #[cfg(feature = "planted")]
    if let Err(error) = ordeal::planted::plant(arguments.planted.as_deref()) {
        return code(&Err(error));
    }
    if let Some(times) = arguments.webhooks {
        let tried = ordeal::inputs::webhooks::mutate(arguments.seed, times);
        return code(&tried.map(|counts| println!("{counts:?}, judged rightly")).map_err(anyhow::Error::msg));
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be built");
    if let Some(times) = arguments.inputs {
        return code(&runtime.block_on(try_inputs(&arguments, times)));
    }
    match runtime.block_on(run_all(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => code(&Err(error)),
    }
}

fn code(ended: &anyhow::Result<()>) -> ExitCode {
    if let Err(error) = ended {
        eprintln!("{error:#}");
        return ExitCode::from(2);
    }
    ExitCode::SUCCESS
}

#[cfg(feature = "planted")]
fn detect(arguments: &Arguments, pages: &std::path::Path) -> anyhow::Result<()> {
    use ordeal::planted::detect::{Search, detect};
    let search = Search {
        seed: arguments.seed,
        seeds: arguments.runs,
        time: arguments.time,
        drain: arguments.drain,
        only: arguments.only.clone(),
        folder: std::path::absolute(&arguments.folder)?,
        pages: std::path::absolute(pages)?,
        beside: arguments.beside,
    };
    for bug in detect(&search)? {
        println!("not found: {} {}", bug.id, bug.what);
    }
    Ok(())
}

/// The bug that is planted, if any is.
const fn planted(arguments: &Arguments) -> Option<&String> {
    #[cfg(feature = "planted")]
    return arguments.planted.as_ref();
    #[cfg(not(feature = "planted"))]
    {
        let _ = arguments;
        None
    }
}

/// Tries bad inputs of every kind that needs a server.
async fn try_inputs(arguments: &Arguments, times: u64) -> anyhow::Result<()> {
    let root = std::path::absolute(&arguments.folder)?;
    std::fs::create_dir_all(&root)?;
    let server = Arc::new(Server::start(&root.join("server"), false).await?);
    let seed = arguments.seed;
    println!("rows: {:?}", inputs::rows::try_all(&server, seed, times).await.map_err(anyhow::Error::msg)?);
    println!("values: {:?}", inputs::values::try_all(&server, seed, times).await.map_err(anyhow::Error::msg)?);
    println!("SQL: {:?}", inputs::sql::try_all(&server, seed, times).await.map_err(anyhow::Error::msg)?);
    println!("HTTP: {:?}", inputs::api::try_all(&server, seed, times).await.map_err(anyhow::Error::msg)?);
    Ok(())
}

async fn run_all(arguments: &Arguments) -> anyhow::Result<bool> {
    let root = std::path::absolute(&arguments.folder)?;
    std::fs::create_dir_all(&root)?;
    let classes = classes(&arguments.faults)?;
    let server = Arc::new(Server::start(&root.join("server"), classes.contains(&Class::Promotion)).await?);
    let mut results = Results::default();
    let kept = if arguments.kept { seeds::kept(&arguments.seeds)? } else { Vec::new() };
    for seed in kept.into_iter().chain(arguments.seed..arguments.seed + arguments.runs) {
        let drawn = Settings::new(seed, std::env::current_exe()?, root.clone());
        let settings = Settings {
            pooled: match arguments.pooler.as_str() {
                "yes" => true,
                "no" => false,
                _ => drawn.pooled,
            },
            older: arguments.older.clone(),
            time: arguments.time,
            pause: arguments.pause,
            server_pause: arguments.server_pause,
            classes: classes.clone(),
            targets: arguments.places.clone(),
            rate: arguments.rate,
            drain: arguments.drain,
            planted: planted(arguments).cloned(),
            ..drawn
        };
        let report = run::run(&settings, &server).await?;
        println!("{report}");
        if !report.is_clean() && planted(arguments).is_none() {
            seeds::keep(&arguments.seeds, &report)?;
        }
        results.add(&report);
        if let Some(page) = &arguments.results {
            results.write(page, &command_line(arguments))?;
        }
    }
    print!("{}", results.coverage().table());
    Ok(results.is_clean())
}

/// The command that these runs come from.
fn command_line(arguments: &Arguments) -> String {
    let (seed, runs, rate, faults) = (arguments.seed, arguments.runs, arguments.rate, &arguments.faults);
    let time = humantime::format_duration(arguments.time);
    let release = if cfg!(debug_assertions) { "" } else { " --release" };
    format!("cargo run{release} -p ordeal -- --seed {seed} --runs {runs} --for {time} --rate {rate} --faults {faults}")
}

fn classes(text: &str) -> anyhow::Result<Vec<Class>> {
    match text {
        "all" => Ok(Class::ALL.to_vec()),
        "none" => Ok(Vec::new()),
        names => names.split(',').map(|name| name.trim().parse().map_err(anyhow::Error::msg)).collect(),
    }
}
