//! `rawops retry simulate`: what a draft would have changed.

use engine::retry::{self, Effect, Report};
use sqlx::PgPool;

use super::{Change, name, rule};
use crate::output::{self, Format};

/// What to replay, against what.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many days back
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=365))]
    days: u16,
    /// The error category that the draft is for
    #[arg(long)]
    category: String,
    /// The kind that the draft is for; otherwise all kinds without an override of their own
    #[arg(long)]
    kind: Option<String>,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    format: Format,
}

pub async fn run(pool: &PgPool, args: Args) -> anyhow::Result<()> {
    let Args { days, category, kind, change, format } = args;
    let report = retry::simulate(pool, &category, kind.as_deref(), f64::from(days), &change.draft()).await?;
    if format.json { output::json(&report) } else { show(&report) }
}

fn show(report: &Report) -> anyhow::Result<()> {
    output::print(format!("today   {}, version {}: {}", name(&report.today), report.today.version, rule(&report.today)))?;
    output::print(format!("draft   {}: {}", name(&report.draft), rule(&report.draft)))?;
    if report.kinds.is_empty() {
        return output::print(format!("nothing failed with that category in the last {} days", report.days));
    }
    output::print("")?;
    let rows = report.kinds.iter().map(|(kind, effect)| row(kind, effect));
    let total = (report.kinds.len() > 1).then(|| row("all", &report.total));
    let head = [
        "KIND",
        "JOBS",
        "FAILURES",
        "DIED, TRIES LEFT",
        "TRIES MORE",
        "DONE, NOW DEAD",
        "DEAD EARLIER",
        "OPEN, NOW DEAD",
        "TRIES LESS",
        "WAIT",
    ];
    output::table(head, rows.chain(total))?;
    output::print("")?;
    if !report.total.lost_jobs.is_empty() {
        let jobs: Vec<String> = report.total.lost_jobs.iter().map(ToString::to_string).collect();
        output::print(format!("jobs that completed and would have died: {}", jobs.join(", ")))?;
    }
    if report.total.overridden > 0 {
        output::print(format!(
            "{} left as they were: an override of their kind decides",
            output::counted(report.total.overridden as usize, "job")
        ))?;
    }
    output::print(
        "Jobs are taken to fail as they did. A success that the draft would have prevented is known; what more tries would have",
    )?;
    output::print("brought is not. Waits are means: of each delay a random part is waited. Retry-After is not in the ledger.")
}

fn row(kind: &str, effect: &Effect) -> [String; 10] {
    [
        kind.to_string(),
        effect.jobs.to_string(),
        effect.failures.to_string(),
        effect.died_with_tries_left.to_string(),
        effect.tries_added.to_string(),
        effect.successes_lost.to_string(),
        effect.died_earlier.to_string(),
        effect.unfinished_lost.to_string(),
        effect.tries_saved.to_string(),
        format!("+{} -{}", span(effect.wait_added_s), span(effect.wait_saved_s)),
    ]
}

/// A time, to the second.
fn span(seconds: f64) -> String {
    let whole = std::time::Duration::from_secs(seconds.clamp(0.0, 1e15).round() as u64);
    humantime::format_duration(whole).to_string().replace(' ', "")
}
