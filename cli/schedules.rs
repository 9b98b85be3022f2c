//! `rawops schedules`: what recurs, when it comes next, what it did, and how operators change it.

use std::{process::ExitCode, time::Duration};

use ::schedules::SCHEDULES;
use anyhow::bail;
use engine::{
    schedule::{
        Misfire, Overlap, Schedule,
        edit::{self, Change, Shown},
    },
    store::occurrence::{self, Occurrence},
};
use serde_json::json;
use sqlx::PgPool;

use crate::{
    database::with_pool,
    jobs::who,
    logging,
    output::{self, Format, brief, moment, or_blank},
};

/// Occurrences that `show` prints unless it is told otherwise.
const SHOWN: i64 = 10;

/// What can be done with schedules.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List what recurs: when, when next, and what came of the last time
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Show one schedule: what is in force, who changed it, and its last occurrences
    Show {
        #[arg(value_name = "NAME", value_parser = schedule)]
        name: &'static Schedule,
        /// How many past occurrences
        #[arg(long, default_value_t = SHOWN, value_parser = clap::value_parser!(i64).range(0..=1000))]
        limit: i64,
        #[command(flatten)]
        format: Format,
    },
    /// Print when a schedule comes next, in UTC and by its own wall clock
    Next {
        #[arg(value_name = "NAME", value_parser = schedule)]
        name: &'static Schedule,
        /// How many occurrences
        #[arg(short = 'n', long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
        count: u64,
        #[command(flatten)]
        format: Format,
    },
    /// Stop a schedule; what comes while it is paused is let go
    Pause(Act),
    /// Let a paused schedule go on from now
    Resume(Act),
    /// Make a job of a schedule now, even while it is paused
    Run {
        #[command(flatten)]
        act: Act,
        /// Even when its last job has not ended
        #[arg(long)]
        anyway: bool,
    },
    /// Change a schedule; it takes effect within seconds, and occurrences by another line or zone count from now
    Set(Set),
    /// Take back what `set` changed: the program's table is in force again
    Unset(Act),
}

/// Which schedule, and why.
#[derive(Debug, clap::Args)]
pub struct Act {
    #[arg(value_name = "NAME", value_parser = schedule)]
    name: &'static Schedule,
    /// Why, for whoever looks at it later
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    format: Format,
}

/// What is to be other than the program has it.
#[derive(Debug, clap::Args)]
#[group(id = "change", required = true, multiple = true, args = ["cron", "zone", "misfire", "overlap", "jitter"])]
pub struct Set {
    #[command(flatten)]
    act: Act,
    /// When: minute, hour, day of the month, month, day of the week, such as "30 6 * * MON-FRI"; six fields begin with the second
    #[arg(long, value_name = "LINE")]
    cron: Option<String>,
    /// Whose wall clock, as an IANA name such as Europe/London
    #[arg(long)]
    zone: Option<String>,
    /// What becomes of missed occurrences: skip, latest, or all:N for the newest N
    #[arg(long)]
    misfire: Option<Misfire>,
    /// What happens while its last job lives: skip, allow, or buffer one until it ends
    #[arg(long)]
    overlap: Option<Overlap>,
    /// How much later its jobs may run, such as 30s or 5m; 0s for none
    #[arg(long, value_parser = humantime::parse_duration)]
    jitter: Option<Duration>,
}

pub async fn run(url: Option<&str>, command: Command) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    with_pool(url, async |pool| answer(pool, command).await).await?;
    Ok(ExitCode::SUCCESS)
}

async fn answer(pool: &PgPool, command: Command) -> anyhow::Result<()> {
    match command {
        Command::List { format } => {
            let schedules = edit::show(pool, SCHEDULES).await?;
            if format.json { output::json(&schedules) } else { show_list(&schedules) }
        }
        Command::Show { name, limit, format } => show(pool, name, limit, format).await,
        Command::Next { name, count, format } => next(pool, name, count as usize, format).await,
        Command::Pause(Act { name, reason, format }) => {
            let in_force = edit::pause(pool, name, &who(), reason.as_deref()).await?;
            said(&in_force, format, format!("schedule {} is paused", name.name))
        }
        Command::Resume(Act { name, reason, format }) => {
            let in_force = edit::resume(pool, name, &who(), reason.as_deref()).await?;
            said(&in_force, format, format!("schedule {} goes on", name.name))
        }
        Command::Run { act: Act { name, reason, format }, anyway } => {
            let enqueued = edit::run_now(pool, name, &who(), reason.as_deref(), anyway).await?;
            let words = if enqueued.created { "runs as job" } else { "made no new job: its unique key is held by job" };
            let answer = json!({ "schedule": name.name, "job_id": enqueued.id, "created": enqueued.created });
            said(&answer, format, format!("schedule {} {words} {}", name.name, enqueued.id))
        }
        Command::Set(Set { act: Act { name, reason, format }, cron, zone, misfire, overlap, jitter }) => {
            let change = Change { cron, zone, misfire, overlap, jitter };
            let in_force = edit::set(pool, name, &who(), reason.as_deref(), &change).await?;
            said(&in_force, format, format!("schedule {} comes {}", name.name, when(&in_force.settings)))
        }
        Command::Unset(Act { name, reason, format }) => {
            let in_force = edit::unset(pool, name, &who(), reason.as_deref()).await?;
            said(&in_force, format, format!("schedule {} comes {}, as the program has it", name.name, when(&in_force.settings)))
        }
    }
}

/// A schedule by its name.
fn schedule(name: &str) -> Result<&'static Schedule, String> {
    let names = || SCHEDULES.iter().map(|schedule| schedule.name).collect::<Vec<_>>().join(", ");
    SCHEDULES.iter().find(|schedule| schedule.name == name).ok_or_else(|| format!("there is no such schedule; there are: {}", names()))
}

fn said(answer: &impl serde::Serialize, format: Format, words: String) -> anyhow::Result<()> {
    if format.json { output::json(answer) } else { output::print(words) }
}

/// A schedule's settings in words.
fn when(settings: &engine::schedule::Settings) -> String {
    let jitter = if settings.jitter.is_zero() { String::new() } else { format!(", up to {} s later", settings.jitter.as_secs()) };
    format!("at `{}` in {}{jitter}", settings.cron, settings.zone)
}

fn state(shown: &Shown) -> &'static str {
    let in_force = &shown.in_force;
    match (&in_force.problem, in_force.settings.paused, in_force.edited) {
        (Some(_), ..) => "broken",
        (None, true, _) => "paused",
        (None, false, true) => "edited",
        (None, false, false) => "on",
    }
}

fn show_list(schedules: &[Shown]) -> anyhow::Result<()> {
    let row = |shown: &Shown| {
        let settings = &shown.in_force.settings;
        let last = shown.last.as_ref();
        [
            shown.in_force.name.to_string(),
            state(shown).to_string(),
            settings.cron.clone(),
            settings.zone.clone(),
            or_blank(shown.next.as_ref().map(|next| moment(next.occurrence))),
            or_blank(last.map(|last| moment(last.occurrence))),
            last.map(came_to).unwrap_or_default(),
        ]
    };
    output::table(["NAME", "STATE", "CRON", "ZONE", "NEXT", "LAST", "LAST JOB"], schedules.iter().map(row))
}

/// What came of an occurrence.
fn came_to(occurrence: &Occurrence) -> String {
    match (occurrence.job_id, &occurrence.state) {
        (Some(job), Some(state)) => format!("{job} {state}"),
        (Some(job), None) => format!("{job}, no longer kept"),
        (None, _) => "none".into(),
    }
}

async fn show(pool: &PgPool, schedule: &Schedule, limit: i64, format: Format) -> anyhow::Result<()> {
    let Some(shown) = edit::show(pool, std::slice::from_ref(schedule)).await?.pop() else { bail!("the schedule is gone") };
    let history = occurrence::list(pool, schedule.name, limit).await?;
    if format.json {
        return output::json(&json!({ "schedule": shown, "history": history }));
    }
    let (in_force, settings) = (&shown.in_force, &shown.in_force.settings);
    let changed = in_force.changed_at.map(|at| {
        let by = in_force.changed_by.as_deref().unwrap_or("somebody");
        let why = in_force.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("{} by {by}{why}", moment(at))
    });
    let facts = [
        ("schedule", Some(in_force.name.to_string())),
        ("what for", Some(in_force.description.to_string())),
        ("makes", Some(format!("jobs of kind {}", in_force.kind))),
        ("comes", Some(when(settings))),
        ("the program", in_force.edited.then(|| format!("has it at `{}` in {}", schedule.cron, schedule.zone))),
        ("if missed", Some(settings.misfire.to_string())),
        ("if it overlaps", Some(settings.overlap.to_string())),
        ("state", Some(state(&shown).to_string())),
        ("problem", in_force.problem.clone()),
        ("changed", changed),
        ("next", shown.next.as_ref().map(|next| format!("{}, {}", moment(next.occurrence), next.local))),
    ];
    for (name, value) in facts.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        output::print(format!("{name:<16}{value}"))?;
    }
    if history.is_empty() {
        return Ok(());
    }
    output::print("")?;
    let rows = history.iter().map(|occurrence| {
        let by = occurrence.by.as_deref().map(|by| format!("by {by}"));
        let note = [by, occurrence.note.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ");
        [moment(occurrence.occurrence), occurrence.how.clone(), moment(occurrence.fired_at), came_to(occurrence), brief(&note, 100)]
    });
    output::table(["OCCURRENCE", "HOW", "FIRED", "JOB", "NOTE"], rows)
}

async fn next(pool: &PgPool, schedule: &Schedule, count: usize, format: Format) -> anyhow::Result<()> {
    let (in_force, next) = edit::next(pool, schedule, count).await?;
    if format.json {
        return output::json(&json!({ "schedule": schedule.name, "paused": in_force.settings.paused, "next": next }));
    }
    if in_force.settings.paused {
        output::print(format!("schedule {} is paused; unpaused it would come at", schedule.name))?;
    }
    let rows = next.iter().map(|next| [moment(next.occurrence), next.local.clone(), moment(next.runs_at)]);
    output::table(["OCCURRENCE", "LOCAL TIME", "RUNS"], rows)
}
