//! `rawops workflows`: where workflows stand, what they did, and what operators do about them.

use std::process::ExitCode;

use anyhow::Context;
use engine::{
    Client, JobId,
    store::workflow::{self, Act, Shown, Standing},
};
use serde_json::Value;
use sqlx::PgPool;

use crate::{
    database::with_pool,
    jobs::who,
    logging,
    output::{self, Format, brief, moment, or_blank},
};

/// What can be done with workflows.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List workflows, newest first: where each stands and what it waits for
    List {
        /// Only those in this state
        #[arg(long, value_parser = ["ready", "scheduled", "parked", "running", "completed", "cancelled", "dead"])]
        state: Option<String>,
        /// Only of this kind
        #[arg(long)]
        kind: Option<String>,
        /// The most to list
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        #[command(flatten)]
        format: Format,
    },
    /// Show one workflow and its timeline: steps, sleeps, waits, children, what was undone
    Show {
        #[arg(value_name = "JOB")]
        id: JobId,
        #[command(flatten)]
        format: Format,
    },
    /// Emit an event: the workflows that wait for its name and key go on
    Emit {
        /// What happened, such as approval
        #[arg(value_name = "NAME")]
        name: String,
        /// To whom or to what, such as an order's number
        #[arg(value_name = "KEY")]
        key: String,
        /// What there is to say of it, as JSON
        #[arg(value_name = "PAYLOAD", default_value = "null")]
        payload: String,
        /// Makes a second call with the same key do nothing
        #[arg(long, value_name = "KEY")]
        once: Option<String>,
        #[command(flatten)]
        format: Format,
    },
    /// Run a workflow that has ended again, from one of its steps; what it did before that step is not done again
    Restart {
        #[arg(value_name = "JOB")]
        id: JobId,
        /// The number of the first step to do again, as `show` prints it; 1 begins anew
        #[arg(long, value_name = "STEP", value_parser = clap::value_parser!(i32).range(1..))]
        from: i32,
        #[command(flatten)]
        format: Format,
    },
}

pub async fn run(url: Option<&str>, command: Command) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    with_pool(url, async |pool| answer(pool, command).await).await?;
    Ok(ExitCode::SUCCESS)
}

async fn answer(pool: &PgPool, command: Command) -> anyhow::Result<()> {
    match command {
        Command::List { state, kind, limit, format } => {
            let workflows = workflow::list(pool, state.as_deref(), kind.as_deref(), limit).await?;
            if format.json { output::json(&workflows) } else { show_list(&workflows) }
        }
        Command::Show { id, format } => {
            let shown = workflow::show(pool, id).await?;
            if format.json { output::json(&shown) } else { show_one(&shown) }
        }
        Command::Emit { name, key, payload, once, format } => {
            let payload: Value = serde_json::from_str(&payload).context("the payload is no JSON: a text needs quotes of its own")?;
            let emitted = Client::new(pool.clone()).emit(&name, &key, &payload, once.as_deref()).await?;
            let words = match (emitted.created, emitted.woken) {
                (false, _) => format!("event {} was emitted before with this key", emitted.id),
                (true, 0) => format!("event {} is kept; nobody waits for it now", emitted.id),
                (true, woken) => format!("event {} woke {}", emitted.id, output::counted(woken.unsigned_abs() as usize, "workflow")),
            };
            if format.json { output::json(&emitted) } else { output::print(words) }
        }
        Command::Restart { id, from, format } => {
            let again = workflow::restart(pool, id, from, &who()).await?;
            if format.json {
                return output::json(&again);
            }
            let why = if again.from_step < from { ", since a child of it was stopped" } else { "" };
            output::print(format!("workflow {id} runs again from step {}{why} as job {}", again.from_step, again.job_id))
        }
    }
}

fn show_list(workflows: &[Standing]) -> anyhow::Result<()> {
    let rows = workflows.iter().map(|one| {
        [
            one.job_id.to_string(),
            one.kind.clone(),
            one.state.clone(),
            one.steps.to_string(),
            format!("{} {}", one.last_act, one.last_name),
            doing(one),
        ]
    });
    output::table(["JOB", "KIND", "STATE", "STEPS", "LAST", "WAITS FOR"], rows)
}

/// What a workflow waits for, or why it ended.
fn doing(one: &Standing) -> String {
    let until = one.wakes_at.map(|at| format!(" until {}", moment(at))).unwrap_or_default();
    match (one.state.as_str(), one.waits_for.as_deref()) {
        ("parked", Some("event")) => {
            format!("event {} of key {}{until}", or_blank(one.event.as_ref()), or_blank(one.event_key.as_ref()))
        }
        ("parked", _) => format!("{} of {} children", one.children_open, one.children_open + one.children_ended),
        ("scheduled", _) => until.trim_start().to_string(),
        ("dead" | "cancelled", _) => brief(one.error.as_deref().unwrap_or_default(), 60),
        _ => String::new(),
    }
}

fn show_one(shown: &Shown) -> anyhow::Result<()> {
    let one = &shown.standing;
    output::print(format!("workflow {} of kind {} is {}, attempt {}", one.job_id, one.kind, one.state, or_blank(one.attempt)))?;
    let doing = doing(one);
    if !doing.is_empty() {
        output::print(doing)?;
    }
    if let Some(from) = one.restarted_from {
        output::print(format!("it took over the first steps of workflow {from}"))?;
    }
    if one.compensations > 0 {
        output::print(format!("{} of {} compensations are done", one.undone, one.compensations))?;
    }
    let rows = shown.timeline.iter().map(|act| {
        [
            act.position.to_string(),
            act.kind.clone(),
            act.name.clone(),
            moment(act.begun_at),
            act.ended_at.map(moment).unwrap_or_default(),
            act.attempt.to_string(),
            brief(&remark(act), 60),
        ]
    });
    output::table(["STEP", "ACT", "NAME", "BEGUN", "ENDED", "ATTEMPT", ""], rows)
}

/// What else is worth knowing of an act.
fn remark(act: &Act) -> String {
    let mut words = Vec::new();
    if let Some(key) = act.key.as_ref().filter(|key| !key.is_empty()) {
        words.push(format!("key {key}"));
    }
    match (act.ended_at, act.until) {
        (None, Some(until)) => words.push(format!("until {}", moment(until))),
        (Some(_), _) if act.kind == "wait" && act.event_id.is_none() => words.push("in vain".into()),
        _ => (),
    }
    if act.kind == "child" {
        words.push(format!("{} children ended, {} open", act.children_ended, act.children_open));
    } else if let Some(result) = act.result.as_ref().map(|result| result.0.get()).filter(|text| *text != "null") {
        words.push(result.into());
    }
    match (&act.undone_by_kind, act.undone_at) {
        (Some(kind), Some(at)) => words.push(format!("undone by {kind} at {}", moment(at))),
        (Some(kind), None) => words.push(format!("{kind} would undo it")),
        _ => (),
    }
    words.join("; ")
}
