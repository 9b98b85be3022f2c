//! `rawops retry`: what follows a failure, as live data: list, show, set, unset, history, and trying a draft out.

mod simulate;

use std::process::ExitCode;

use engine::{
    retry::{self, Draft},
    store::retry_policy::{self, Policy, Version},
};
use sqlx::PgPool;

use crate::{
    database::with_pool,
    jobs::who,
    logging,
    output::{self, Format, brief, moment, or_blank},
};

/// The longest delay: ten years.
const LONGEST_S: i32 = 315_360_000;

/// What can be done with the retry policy.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the policy: the row of each category, and the overrides of kinds
    List {
        /// Only this kind's overrides
        #[arg(long)]
        kind: Option<String>,
        #[command(flatten)]
        format: Format,
    },
    /// Show the row that decides about failures of a category, of a kind if one is named
    Show {
        #[command(flatten)]
        row: Row,
        #[command(flatten)]
        format: Format,
    },
    /// Change the row of a category, or of one kind with --kind; it decides the very next failure
    Set(Set),
    /// Take the override of a kind away: its category's row decides again
    Unset {
        /// The error category
        category: String,
        /// The kind of job
        #[arg(long)]
        kind: String,
        #[command(flatten)]
        format: Format,
    },
    /// Print the versions of the policy, newest first: what changed, when, by whom
    History {
        /// Only this category
        category: Option<String>,
        /// Only this kind's overrides
        #[arg(long)]
        kind: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        #[command(flatten)]
        format: Format,
    },
    /// Replay the failures of the last days against a draft and print what would have changed; changes nothing
    Simulate(simulate::Args),
}

/// A row of the policy.
#[derive(Debug, clap::Args)]
pub struct Row {
    /// The error category, such as network
    category: String,
    /// The kind of job, such as orders.process_order
    #[arg(long)]
    kind: Option<String>,
}

/// A change of the policy, or a draft.
#[derive(Debug, clap::Args)]
pub struct Change {
    /// How often a job may fail before it is dead
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1000))]
    max_attempts: Option<i32>,
    /// Seconds before each retry, such as 10,60,300; the last one repeats
    #[arg(long, value_name = "SECONDS", value_delimiter = ',', value_parser = clap::value_parser!(i32).range(0..=i64::from(LONGEST_S)))]
    backoff: Option<Vec<i32>>,
    /// At which failure a warning is given, or `never`
    #[arg(long, value_name = "N", value_parser = attempt)]
    alert_on: Option<Attempt>,
    /// At which failure it becomes critical, or `never`
    #[arg(long, value_name = "N", value_parser = attempt)]
    escalate_on: Option<Attempt>,
}

/// Which row to change, and how.
#[derive(Debug, clap::Args)]
#[group(id = "changes", required = true, multiple = true, args = ["max_attempts", "backoff", "alert_on", "escalate_on"])]
pub struct Set {
    #[command(flatten)]
    row: Row,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    format: Format,
}

/// The number of an attempt, or never.
type Attempt = Option<i32>;

impl Change {
    /// The change as the engine takes it.
    pub fn draft(self) -> Draft {
        Draft {
            max_attempts: self.max_attempts,
            backoff_seconds: self.backoff,
            alert_on_attempt: self.alert_on,
            escalate_on_attempt: self.escalate_on,
        }
    }
}

fn attempt(text: &str) -> Result<Attempt, String> {
    match text.parse() {
        _ if text == "never" => Ok(None),
        Ok(attempt @ 1..=1000) => Ok(Some(attempt)),
        _ => Err("expected an attempt from 1 to 1000, or never".into()),
    }
}

pub async fn run(url: Option<&str>, command: Command) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    with_pool(url, async |pool| answer(pool, command).await).await?;
    Ok(ExitCode::SUCCESS)
}

async fn answer(pool: &PgPool, command: Command) -> anyhow::Result<()> {
    match command {
        Command::List { kind, format } => {
            let policies = retry_policy::list(pool, None, kind.as_deref()).await?;
            if format.json { output::json(&policies) } else { show_list(&policies) }
        }
        Command::Show { row: Row { category, kind }, format } => {
            let policy = retry::deciding(pool, &category, kind.as_deref()).await?;
            if format.json { output::json(&policy) } else { show_one(&policy) }
        }
        Command::Set(Set { row: Row { category, kind }, change, format }) => {
            let policy = retry::set(pool, &who(), &category, kind.as_deref(), &change.draft()).await?;
            if format.json {
                return output::json(&policy);
            }
            output::print(format!("{}: version {} decides from now on: {}", name(&policy), policy.version, rule(&policy)))
        }
        Command::Unset { category, kind, format } => {
            let policy = retry::unset(pool, &who(), &category, &kind).await?;
            if format.json {
                return output::json(&policy);
            }
            output::print(format!("{category} of {kind}: the row {} decides from now on: {}", name(&policy), rule(&policy)))
        }
        Command::History { category, kind, limit, format } => {
            let versions = retry_policy::history(pool, category.as_deref(), kind.as_deref(), limit).await?;
            if format.json { output::json(&versions) } else { show_history(&versions) }
        }
        Command::Simulate(args) => simulate::run(pool, args).await,
    }
}

/// The row's name: its category, and its kind if it has one.
fn name(policy: &Policy) -> String {
    match &policy.kind {
        Some(kind) => format!("{} of {kind}", policy.category),
        None => policy.category.clone(),
    }
}

fn delays(policy: &Policy) -> String {
    policy.backoff_seconds.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// What the row says, in words.
fn rule(policy: &Policy) -> String {
    let most = if policy.max_attempts == 1 { "1 attempt".to_string() } else { format!("{} attempts", policy.max_attempts) };
    format!("{most}, {} s apart at most", brief(&delays(policy), 80))
}

fn show_list(policies: &[Policy]) -> anyhow::Result<()> {
    let row = |policy: &Policy| {
        let (alert, escalate) = (or_blank(policy.alert_on_attempt), or_blank(policy.escalate_on_attempt));
        let (kind, most) = (or_blank(policy.kind.as_ref()), policy.max_attempts.to_string());
        [policy.category.clone(), kind, most, brief(&delays(policy), 60), alert, escalate, policy.version.to_string()]
    };
    output::table(["CATEGORY", "KIND", "ATTEMPTS", "DELAYS (S)", "ALERT", "ESCALATE", "VERSION"], policies.iter().map(row))
}

fn show_one(policy: &Policy) -> anyhow::Result<()> {
    let facts = [
        ("row", Some(name(policy))),
        ("means", policy.description.clone()),
        ("attempts", Some(policy.max_attempts.to_string())),
        ("delays (s)", Some(delays(policy))),
        ("alert on", policy.alert_on_attempt.map(|attempt| attempt.to_string())),
        ("escalate on", policy.escalate_on_attempt.map(|attempt| attempt.to_string())),
        ("version", Some(policy.version.to_string())),
    ];
    for (name, value) in facts.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        output::print(format!("{name:<14}{value}"))?;
    }
    Ok(())
}

fn show_history(versions: &[Version]) -> anyhow::Result<()> {
    if versions.is_empty() {
        return output::print("no versions");
    }
    let row = |version: &Version| {
        [
            moment(version.changed_at),
            version.category.clone(),
            or_blank(version.kind.as_ref()),
            version.version.to_string(),
            version.what.clone(),
            version.changed_by.clone(),
            summary(version.row.0.get()),
        ]
    };
    output::table(["WHEN", "CATEGORY", "KIND", "VERSION", "WHAT", "BY", "ROW"], versions.iter().map(row))
}

/// What matters of a stored row.
fn summary(row: &str) -> String {
    let row: serde_json::Value = serde_json::from_str(row).unwrap_or_default();
    let field = |name: &str| row[name].to_string();
    let row = format!("{} attempts, {} s", field("max_attempts"), field("backoff_seconds"));
    brief(&row, 80)
}
