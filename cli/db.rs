//! `rawops db`: the private PostgreSQL in `.rawops`.

use std::process::ExitCode;

use embedded::Stopped;
use serde_json::json;

use crate::{
    database::{self, Database},
    logging,
    output::{self, Format},
};

/// What can be done with the private server.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Stop the private server, unless a process uses it; what is stored stays
    Stop {
        #[command(flatten)]
        format: Format,
    },
    /// Print the private server's address, for psql and other clients; it is up while a rawops process uses it
    Url {
        #[command(flatten)]
        format: Format,
    },
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    match command {
        Command::Stop { format } => stop(format).await,
        Command::Url { format } => url(format).await,
    }
}

async fn stop(format: Format) -> anyhow::Result<ExitCode> {
    let stopped = tokio::task::spawn_blocking(|| embedded::stop(&database::private())).await??;
    let (word, sentence, code) = match stopped {
        Stopped::Down => ("down", "the private server is down; what it stored is in .rawops", ExitCode::SUCCESS),
        Stopped::InUse => ("in_use", "the private server is in use and was left running: end `rawops up` first", ExitCode::FAILURE),
    };
    if format.json {
        output::json(&json!({ "server": word }))?;
    } else {
        output::print(sentence)?;
    }
    Ok(code)
}

async fn url(format: Format) -> anyhow::Result<ExitCode> {
    let mut database = Database::open(None, |_, _| ()).await?;
    let cluster = database.take_cluster().expect("the private database has a server");
    let url = cluster.url(database::NAME);
    if format.json {
        output::json(&json!({ "url": url }))?;
    } else {
        output::print(url)?;
    }
    tokio::task::spawn_blocking(move || cluster.stop()).await??;
    Ok(ExitCode::SUCCESS)
}
