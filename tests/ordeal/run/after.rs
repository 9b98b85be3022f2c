//! What is waited for and asked when everything has been healed.

use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::{
    Client, NewJob,
    store::doctor::{self, Severity},
};
use rustix::process::Signal;

use super::{PATIENCE, now};
use crate::{
    kinds::{Probe, probe_queue},
    process::Role,
    stage::{Stage, WORKERS},
    wait::{until_none_is_left, until_so},
};

/// Stops the schedulers when they have dealt with everything that has come; returns when that was.
pub(super) async fn stop_schedulers(stage: &Stage) -> anyhow::Result<DateTime<Utc>> {
    const CAUGHT_UP: &str = "select not exists (select from engine.schedule where done_to < $1 - interval '3 seconds')";
    let ended = now(stage).await?;
    // Schedules that do not catch up are the business of their checker.
    until_so(PATIENCE, || sqlx::query_scalar(CAUGHT_UP).bind(ended).fetch_one(&stage.pool)).await?;
    for place in stage.fleet.all(|role| matches!(role, Role::Scheduler(_))) {
        stage.fleet.take(place);
        stage.fleet.signal(place, Signal::TERM, "TERM");
    }
    Ok(ended)
}

/// Where jobs stand that have not ended, one line a place.
const OPEN: &str = "
    select state || ': ' || count(*) || ' jobs of ' || kind || ', first ' || min(id) || coalesce(' on worker ' || min(worker_id), '')
    from engine.job_state where state not in ('completed', 'cancelled', 'dead') group by state, kind";

pub(super) async fn drain(stage: &Stage, limit: Duration) -> anyhow::Result<Vec<String>> {
    Ok(until_none_is_left(limit, || sqlx::query_scalar(OPEN).fetch_all(&stage.pool)).await?)
}

/// Asks every worker for five jobs that only it can run, and every web process whether it is ready, five times.
pub(super) async fn probe(stage: &Stage, limit: Duration) -> anyhow::Result<Vec<String>> {
    let client = Client::new(stage.pool.clone());
    for slot in 0..WORKERS {
        let queue = probe_queue(slot);
        let job = NewJob::of(&Probe { queue: queue.clone() })?.queue(queue);
        client.enqueue_many(&vec![job; 5]).await?;
    }
    let mut silent = drain(stage, limit).await?;
    let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build()?;
    for port in &stage.ports {
        for _ in 0..5 {
            let answer = http.get(format!("http://127.0.0.1:{port}/readyz")).send().await;
            if !answer.as_ref().is_ok_and(|answer| answer.status() == 200) {
                silent.push(format!("the web process at port {port} is not ready: {:?}", answer.map(|answer| answer.status())));
            }
        }
    }
    Ok(silent)
}

/// What `/metrics` of every web process shows that answers: whether all of them do is the probe's business.
pub(super) async fn figures(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build()?;
    let mut pages = Vec::new();
    for port in &stage.ports {
        let answer = http.get(format!("http://127.0.0.1:{port}/metrics")).send().await.and_then(reqwest::Response::error_for_status);
        if let Ok(answer) = answer {
            pages.extend(answer.text().await);
        }
    }
    Ok(pages)
}

pub(super) async fn examine(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let findings = doctor::examine(&stage.pool).await?;
    let faults = findings.into_iter().filter(|finding| finding.severity == Severity::Fault);
    Ok(faults.map(|finding| format!("{}: job {:?}, {}", finding.check, finding.job_id, finding.detail)).take(20).collect())
}
