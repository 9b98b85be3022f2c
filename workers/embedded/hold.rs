//! Holds a cluster for a script: brings it up, prints its address and lets it go when standard
//! input ends.
//!
//! `embedded-hold FOLDER` keeps what is committed; `embedded-hold FOLDER throwaway` does not.

use std::io::Read;
use std::process::ExitCode;

use embedded::{Cluster, Error, Options};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let Some(dir) = args.next() else {
        eprintln!("usage: embedded-hold FOLDER [throwaway]");
        return ExitCode::from(2);
    };
    let options = match args.next().as_deref() {
        Some("throwaway") => Options::throwaway(dir),
        _ => Options::kept(dir),
    };
    match hold(&options) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn hold(options: &Options) -> Result<bool, Error> {
    let cluster = embedded::ensure(options, |step, took| {
        eprintln!("{step} ({} ms)", took.as_millis());
    })?;
    println!("{}", cluster.url("postgres"));
    let mut ignored = Vec::new();
    let _end_of_input = std::io::stdin().read_to_end(&mut ignored);
    Cluster::stop(cluster)
}
