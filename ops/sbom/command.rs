//! `sbom`: prints the bill of materials of rawops.

use std::{
    io::{ErrorKind, Write},
    process::ExitCode,
};

use sbom::{Metadata, bill, lock};

fn main() -> ExitCode {
    let printed = lock::of_workspace().and_then(|lock| {
        let bill = bill(&Metadata::of_workspace()?, &lock)?;
        match writeln!(std::io::stdout(), "{bill:#}") {
            // A reader that has seen enough, such as `head`, is no error.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    });
    if let Err(error) = printed {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
