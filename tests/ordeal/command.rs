//! `ordeal`: runs the ordeal, or is one of its processes.

mod arguments;

use std::{path::Path, process::ExitCode, sync::Arc};

use arguments::Arguments;
use clap::Parser;
use ordeal::{
    coverage::Coverage,
    disk,
    faults::Class,
    kinds, namespace, process,
    results::{Line, Origin, Ran, Results, Setting},
    run::{self, Settings},
    seeds,
    series::{self, Beside, Wanted},
    server::Server,
    sizes, tries,
};

fn main() -> ExitCode {
    if let Some(ended) = kinds::apart::run().or_else(process::child::run) {
        return code(&ended);
    }
    let arguments = Arguments::parse_from(words());
    #[cfg(feature = "planted")]
    if let Some(folder) = &arguments.detect {
        return code(&detect(&arguments, folder));
    }
    #[cfg(feature = "planted")]
    if let Err(error) = ordeal::planted::plant(arguments.planted.as_deref()) {
        return code(&Err(error));
    }
    if let Some(times) = arguments.webhooks {
        return code(&tries::webhooks(arguments.seed, times, arguments.results.as_deref()));
    }
    take_disks(&arguments);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be built");
    if let Some(times) = arguments.inputs {
        return code(&runtime.block_on(try_inputs(&arguments, times)));
    }
    let ran = if arguments.beside > 0 { run_beside(&arguments) } else { runtime.block_on(run_all(&arguments)) };
    match ran {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => code(&Err(error)),
    }
}

/// Sees to it that servers have disks of their own, which can be filled. Only every other seed: these are in memory, and the
/// machine's disk, on which the others' servers write, takes its time.
fn take_disks(arguments: &Arguments) {
    let runs_here = arguments.beside == 0 && arguments.inputs.is_none();
    if runs_here && arguments.seed.is_multiple_of(2) && !disk::are_own() {
        let Err(error) = disk::with_own_mounts();
        println!("no disks for servers, so it is their files that cannot grow: {error}");
    }
}

/// What this process was told.
fn words() -> Vec<std::ffi::OsString> {
    sizes::spelled_out(std::env::args_os())
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
        beside: arguments.beside.max(1),
        as_gate: arguments.as_gate,
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
    let server = Arc::new(Server::start(&root.join("server"), &[]).await?);
    tries::inputs(&server, arguments.seed, times, arguments.results.as_deref()).await
}

/// The seeds that are left to run.
fn left(arguments: &Arguments) -> anyhow::Result<Vec<u64>> {
    let results = arguments.results.as_deref().map(Results::read).transpose()?;
    let kept = if arguments.kept { seeds::kept(&arguments.seeds)? } else { Vec::new() };
    let wanted = Wanted { first: arguments.seed, runs: arguments.runs, kept, again: arguments.again };
    let left = wanted.left(results.as_ref(), &Origin::here().commit);
    if let Some(results) = results.filter(|_| left.is_empty()) {
        println!("the journal has all of them");
        results.write()?;
    }
    Ok(left)
}

/// Runs seeds one after the other in this process; false when one failed.
async fn run_all(arguments: &Arguments) -> anyhow::Result<bool> {
    let (root, left) = (std::path::absolute(&arguments.folder)?, left(arguments)?);
    if left.is_empty() {
        return touches_all(arguments, 0, &Coverage::default());
    }
    std::fs::create_dir_all(&root)?;
    println!("{}", namespace::notice());
    let server = Arc::new(Server::start(&root.join("server"), &classes(arguments)?).await?);
    let (mut coverage, mut is_clean) = (Coverage::default(), true);
    let runs = left.len();
    for seed in left {
        let settings = settings(arguments, seed, &root)?;
        let report = match run::run(&settings, &server).await {
            Ok(report) => report,
            Err(error) => {
                println!("seed {seed}: it came to nothing");
                if planted(arguments).is_none() {
                    seeds::keep(&arguments.seeds, seed, &format!("{error:#}\n"))?;
                }
                note(arguments, Ran::broken(Origin::here(), Setting::of(&settings), seed, Some(format!("{error:#}"))))?;
                return Err(error);
            }
        };
        println!("{report}");
        if !report.is_clean() && planted(arguments).is_none() {
            seeds::keep(&arguments.seeds, seed, &report.to_string())?;
        }
        is_clean &= report.is_clean();
        coverage.add(&report.coverage);
        note(arguments, Ran::of(Origin::here(), Setting::of(&settings), &report))?;
    }
    print!("{}", coverage.table());
    Ok(touches_all(arguments, runs, &coverage)? && is_clean)
}

/// Runs seeds beside each other, each in a process of its own; false when one failed.
fn run_beside(arguments: &Arguments) -> anyhow::Result<bool> {
    let folder = std::path::absolute(&arguments.folder)?;
    let beside = Beside {
        places: arguments.beside,
        arguments: words().into_iter().skip(1).filter(|argument| argument != "--kept").collect(),
        setting: Setting::of(&settings(arguments, arguments.seed, &folder)?),
        folder,
        pages: arguments.results.clone(),
        seeds: arguments.seeds.clone(),
    };
    let failed = beside.run(left(arguments)?)?;
    if !failed.is_empty() {
        eprintln!("seeds {failed:?} failed");
    }
    Ok(touches_all(arguments, 0, &Coverage::default())? && failed.is_empty())
}

/// Whether the series has touched all that one of its length must: by the journal, which has what was run before, or else by
/// what was run here.
fn touches_all(arguments: &Arguments, runs: usize, coverage: &Coverage) -> anyhow::Result<bool> {
    let everything = classes(arguments)? == Class::here() && arguments.places.is_empty();
    if !everything || planted(arguments).is_some() {
        return Ok(true);
    }
    let untouched = match &arguments.results {
        Some(folder) => {
            let (runs, coverage) = Results::read(folder)?.touched(arguments.seed..arguments.seed + arguments.runs);
            series::untouched(runs, &coverage)
        }
        None => series::untouched(runs, coverage),
    };
    if !untouched.is_empty() {
        eprintln!("the series proves nothing of what it has not touched: {}", untouched.join(", "));
    }
    Ok(untouched.is_empty())
}

/// Adds a run to the journal, where one is kept.
fn note(arguments: &Arguments, ran: Ran) -> anyhow::Result<()> {
    let Some(folder) = &arguments.results else { return Ok(()) };
    Ok(Results::read(folder)?.add(&Line::Run(Box::new(ran)))?)
}

/// What the run of a seed is.
fn settings(arguments: &Arguments, seed: u64, root: &Path) -> anyhow::Result<Settings> {
    let drawn = Settings::new(seed, std::env::current_exe()?, root.into());
    Ok(Settings {
        pooled: match arguments.pooler.as_str() {
            "yes" => true,
            "no" => false,
            _ => drawn.pooled,
        },
        older: arguments.older.clone(),
        time: arguments.time,
        pause: arguments.pause,
        server_pause: arguments.server_pause,
        classes: classes(arguments)?,
        targets: arguments.places.clone(),
        rate: arguments.rate,
        drain: arguments.drain,
        planted: planted(arguments).cloned(),
        ..drawn
    })
}

fn classes(arguments: &Arguments) -> anyhow::Result<Vec<Class>> {
    Class::named(&arguments.faults).map_err(anyhow::Error::msg)
}
