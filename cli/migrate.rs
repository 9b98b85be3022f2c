//! `rawops migrate`: brings the database to this program's schema. Any number may run at once.

use std::process::ExitCode;

use serde_json::json;

use crate::{database::Database, logging, output};

/// What `migrate` may be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    format: output::Format,
}

pub async fn run(url: Option<&str>, args: &Args) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    let database = Database::open(url, |_, _| ()).await?;
    let applied = migrations::run(&mut database.connect().await?).await?;
    let schema = migrations::newest();
    if args.format.json {
        output::json(&json!({ "applied": applied, "schema": schema }))?;
    } else if applied.is_empty() {
        output::print(format!("nothing to do: the schema is at {schema:04}"))?;
    } else {
        let numbers: Vec<String> = applied.iter().map(|number| format!("{number:04}")).collect();
        output::print(format!("applied {}; the schema is at {schema:04}", numbers.join(", ")))?;
    }
    database.close().await?;
    Ok(ExitCode::SUCCESS)
}
