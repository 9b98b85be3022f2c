//! `fuzz`: tries inputs for as long as it is told to, and keeps what breaks a promise.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use fuzz::{
    Target, corpus,
    session::{self, Counts},
    targets::{TARGETS, named},
};

/// Inputs by the million against everything that reads what others wrote.
#[derive(Parser)]
struct Arguments {
    /// Which targets; all, unless named
    targets: Vec<String>,
    /// How long each is tried
    #[arg(long = "for", default_value = "1m", value_parser = humantime::parse_duration)]
    time: Duration,
    /// How many inputs each is tried with, however long that takes
    #[arg(long, conflicts_with = "time")]
    times: Option<u64>,
    /// What the inputs are drawn from; another one each time, unless named
    #[arg(long)]
    seed: Option<u64>,
    /// Only says what there is, and what is promised of each
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}

/// How many targets broke their promise.
fn run(arguments: &Arguments) -> anyhow::Result<usize> {
    let chosen = chosen(&arguments.targets)?;
    if arguments.list {
        for target in chosen {
            println!("{:<18}{}", target.name, target.promise);
        }
        return Ok(0);
    }
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let mut broken = 0;
    for target in chosen {
        let begun = Instant::now();
        let inputs: Vec<Vec<u8>> = corpus::of(&corpus::folder(), &target)?.into_iter().map(|(_, input)| input).collect();
        let goes_on = |counts: &Counts| match arguments.times {
            Some(times) => counts.tried < times,
            None => begun.elapsed() < arguments.time,
        };
        match session::run(&target, &inputs, seed, goes_on) {
            Ok(Counts { tried, taken, shapes }) => {
                println!("{:<18}{tried:>12} tried, {taken} taken, {shapes} shapes, {:.0?}", target.name, begun.elapsed());
            }
            Err(found) => {
                broken += 1;
                let path = corpus::keep(&corpus::folder(), &target, &found.input)?;
                println!("{:<18}BROKEN: {}\n{:<18}seed {seed}, kept as {}", target.name, found.fault, "", path.display());
            }
        }
    }
    Ok(broken)
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<Target>> {
    if names.is_empty() {
        return Ok(TARGETS.to_vec());
    }
    let find = |name: &String| named(name).ok_or_else(|| anyhow::anyhow!("there is no target {name}: --list shows them"));
    names.iter().map(find).collect()
}
