//! `rawops retention`: how long what has ended is kept: list, set.

use std::{process::ExitCode, time::Duration};

use engine::store::retention::{self, Retention};
use sqlx::PgPool;

use crate::{
    database::with_pool,
    jobs::who,
    logging,
    output::{self, Format, moment, or_blank},
};

/// What can be done with it.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List how long jobs, dead letters, keys and workers are kept after their end
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Change it; what is past its time then goes within minutes, and cannot be brought back
    Set {
        /// What: completed, cancelled, dead, resolved_letters, open_letters, enqueue_keys or dead_workers
        what: String,
        /// How long, such as 24h or 7days, or `forever`; an hour at least
        #[arg(value_parser = kept)]
        kept: Kept,
        #[command(flatten)]
        format: Format,
    },
}

/// How long, or for ever.
type Kept = Option<Duration>;

fn kept(text: &str) -> Result<Kept, String> {
    match humantime::parse_duration(text) {
        _ if text == "forever" => Ok(None),
        Ok(kept) => Ok(Some(kept)),
        Err(_) => Err("expected a time, such as 24h or 7days, or forever".into()),
    }
}

pub async fn run(url: Option<&str>, command: Command) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    with_pool(url, async |pool| answer(pool, command).await).await?;
    Ok(ExitCode::SUCCESS)
}

async fn answer(pool: &PgPool, command: Command) -> anyhow::Result<()> {
    match command {
        Command::List { format } => show(&retention::list(pool).await?, format),
        Command::Set { what, kept, format } => {
            retention::put(pool, &what, kept, &who()).await?;
            let changed: Vec<_> = retention::list(pool).await?.into_iter().filter(|row| row.what == what).collect();
            show(&changed, format)
        }
    }
}

fn show(rows: &[Retention], format: Format) -> anyhow::Result<()> {
    if format.json {
        return output::json(&rows);
    }
    let row = |row: &Retention| {
        let kept =
            row.kept_s.map_or_else(|| "forever".to_string(), |s| humantime::format_duration(Duration::from_secs(s as u64)).to_string());
        [row.what.clone(), kept, or_blank(row.changed_at.map(moment)), or_blank(row.changed_by.as_ref()), row.says.clone()]
    };
    output::table(["WHAT", "KEPT FOR", "CHANGED", "BY", "WHAT IT IS"], rows.iter().map(row))
}
