//! `rawops why`: what keeps a job from running, in sentences.

use std::process::ExitCode;

use engine::{
    JobId,
    store::why::{self},
    why::Why,
};

use crate::{
    database::with_pool,
    jobs, logging,
    output::{self, Format, moment},
};

/// Which job.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job's id, as `rawops jobs list` shows it
    #[arg(value_name = "ID", value_parser = jobs::id)]
    id: JobId,
    #[command(flatten)]
    format: Format,
}

pub async fn run(url: Option<&str>, args: Args) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    with_pool(url, async |pool| {
        let why = why::why(pool, args.id).await?;
        if args.format.json { output::json(&why) } else { show(&why) }
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

fn show(why: &Why) -> anyhow::Result<()> {
    output::print(format!("job {}, {} in queue {}, is {}", why.id, why.kind, why.queue, why.state))?;
    for reason in &why.reasons {
        output::print(format!("- {reason}"))?;
    }
    match why.estimated_start {
        Some(at) if at <= why.at => output::print("It should start at once."),
        Some(at) => output::print(format!("It should start about {}, if the pace stays as it is.", moment(at))),
        None => Ok(()),
    }
}
