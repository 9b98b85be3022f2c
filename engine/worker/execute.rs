//! Runs one claimed job and says how it ended.

use std::{
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{attempt_span, breakers::Word, pace::Pace, panic_trace, session::Session, stop::Stop, undecided::is_decided};
use crate::{
    Category, Failure, JobResult, Outcome, Run, isolated,
    planted::planted,
    run,
    store::{
        self,
        attempt::{Ended, Verdict},
        claim::Claimed,
    },
    trace::Span,
    tx::Undecided,
    workflow::Course,
};

/// How long a handler that is told to stop may take to reach its next await.
const YIELD: Duration = Duration::from_secs(5);
/// How long a handler that listens may take to end by itself.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs it, and hands its end to the recorder; `seated`, if it may have come by the slot of its key meanwhile. False: it may still be going on, and whoever rescues its claim deals with it.
pub(super) async fn execute(job: &Claimed, session: &Arc<Session>, seated: &AtomicBool) -> bool {
    let (stop, stopped) = watch::channel(None);
    let key = (job.job_id, job.attempt);
    session.running.lock().expect("no holder of this lock panics").insert(key, stop);
    let begun = Instant::now();
    let span = attempt_span::begin(job, session.worker_id);
    let (heard, undecided) = (run::Heard::default(), Undecided::default());
    let verdict = if session.lost.is_cancelled() { None } else { attempt(session, job, &span, begun, stopped, &heard, &undecided).await };
    let took = begun.elapsed();
    let verdict = match verdict {
        Some(Verdict::Settled) | None => verdict,
        Some(verdict) => {
            let asked = undecided.close() && !planted!("an attempt ends beside its own commit");
            (!asked || Box::pin(is_decided(session, job)).await).then_some(verdict)
        }
    };
    attempt_span::end(span, verdict.as_ref());
    if let Some(system) = session.program.kinds.get(&job.kind).and_then(|kind| kind.calls) {
        session.breakers.note(system, job, begun, Word::of(verdict.as_ref(), heard.take()));
    }
    session.running.lock().expect("no holder of this lock panics").remove(&key);
    session.pace.ran(job.lane_id, took);
    crate::metrics::ran(&job.kind, took);

    if matches!(verdict, Some(Verdict::Snoozed(_))) && planted!("an attempt that snoozes keeps a connection") {
        std::mem::forget(session.pool.try_acquire());
    }
    if let (Some(drain), Some(verdict)) = (&session.program.drain, &verdict) {
        drain.count(verdict);
    }
    let has_ended = verdict.is_some();
    let verdict = verdict.unwrap_or(Verdict::Settled);
    report(job, &verdict);
    let ended = job.ended(took.as_micros() as i64, verdict);
    session.ended(Ended { limited: ended.limited || seated.load(Ordering::Acquire), ..ended }).await;
    has_ended
}

/// Runs the handler on a task of its own. `None`: the job is somebody else's by now, so nothing is to be recorded.
async fn attempt(
    session: &Arc<Session>,
    job: &Claimed,
    span: &Span,
    started: Instant,
    mut stopped: watch::Receiver<Option<Stop>>,
    heard: &run::Heard,
    undecided: &Undecided,
) -> Option<Verdict> {
    let Some(kind) = session.program.kinds.get(&job.kind) else {
        return Some(Verdict::Released);
    };
    if job.stale {
        return Some(Verdict::Stale);
    }
    let Some(args) = job.args.clone() else {
        return Some(failed(Failure::bug("the job's description is gone from engine.job")));
    };
    if let Some(system) = kind.calls
        && Box::pin(session.breakers.bars(system, job)).await
    {
        return Some(Verdict::Released);
    }
    if let Some(kept) = charge(session, job).await {
        return Some(kept);
    }
    let fate = run::Fate::default();
    let asked = run::Stop::default();
    let course = Course::default();
    let trace = span.place();
    let run = Run {
        pool: session.pool.clone(),
        worker_id: session.worker_id,
        claim_id: job.claim_id,
        kind: kind.name,
        job_id: job.job_id,
        attempt: job.attempt,
        trace: trace.clone(),
        started,
        fate: fate.clone(),
        isolated: false,
        shared: session.program.kinds.shared.clone(),
        stop: asked.clone(),
        course: course.clone(),
        heard: heard.clone(),
        undecided: undecided.clone(),
        telling: tokio::sync::Mutex::default(),
    };
    if planted!("a job is recorded before it runs") {
        tokio::spawn((kind.handler)(args, run));
        return Some(Verdict::Completed(serde_json::Value::Null));
    }
    let work = match kind.isolated {
        None => (kind.handler)(args, run),
        Some(limits) => {
            let (worker_id, job_id, attempt) = (run.worker_id, job.job_id, job.attempt);
            let silence_ms = isolated::Order::silence_ms(session.program.config.lease);
            let order = isolated::Order { kind: job.kind.clone(), args, worker_id, job_id, attempt, trace, limits, silence_ms };
            // Its process is ended, and then it is over: that is waited for.
            asked.heard.store(true, Ordering::Release);
            let (arguments, lost) = (session.program.kinds.child_arguments.clone(), session.lost.clone());
            Box::pin(isolated::run(order, arguments, asked.token.clone(), lost, fate.clone()))
        }
    };
    // Only of these there are runs, which want to know.
    let pace = (job.limited || job.in_run).then(|| session.pace.clone());
    let mut handler = tokio::spawn(timed(panic_trace::catch(span.around_boxed(work)), pace, job.lane_id));
    let stop = tokio::select! {
        biased;
        end = &mut handler => {
            if let Ok(Ok(Err(failure))) = &end {
                heard.add(failure);
                if failure.of_outdated_plan {
                    session.replan.ask(&session.pool);
                }
            }
            return Some(fate.verdict().unwrap_or_else(|| verdict_of_task(end, &course)));
        }
        why = stop_reason(&mut stopped) => why,
        () = tokio::time::sleep(kind.timeout) => Stop::Timeout,
    };
    asked.tell(stop.reason());
    if asked.heard.load(Ordering::Acquire)
        && let Ok(end) = tokio::time::timeout(LAST_WORDS, &mut handler).await
    {
        return fate.verdict().or_else(|| last_word(end, stop, kind.timeout, &course));
    }
    if kind.isolated.is_none() {
        handler.abort();
    }
    if tokio::time::timeout(YIELD, &mut handler).await.is_err() {
        tracing::warn!(job.id = %job.job_id, job.kind = job.kind, "the handler was told to stop and does not yield");
        if matches!(stop, Stop::Release | Stop::Lost) {
            // Its effects may still happen, so the job must not run elsewhere before this process has gone.
            return None;
        }
        let _ = handler.await;
    }
    fate.verdict().or_else(|| verdict_of_stop(stop, kind.timeout))
}

/// Tells how long the handler itself takes, without its wait for a thread before it begins and for its end to be noticed.
async fn timed<T>(handler: impl Future<Output = T>, pace: Option<Arc<Pace>>, lane: i32) -> T {
    let begun = Instant::now();
    let end = handler.await;
    if let Some(pace) = pace {
        pace.worked(lane, begun.elapsed());
    }
    end
}

fn verdict_of_stop(stop: Stop, timeout: Duration) -> Option<Verdict> {
    match stop {
        Stop::Cancel => Some(Verdict::Cancelled("cancelled while it ran".into())),
        Stop::Timeout => Some(failed(Failure::timeout(format!("the attempt ran longer than {} s", timeout.as_secs_f64())))),
        Stop::Release => Some(Verdict::Released),
        Stop::Lost => None,
    }
}

/// What a handler that was told to stop, and listened, made of it: work that it finished counts, and so does a cancel of
/// its own, unless the worker goes; anything else is what the stop was for, and so is a workflow that ends where it had to go on.
fn last_word(end: TaskEnd, stop: Stop, timeout: Duration, course: &Course) -> Option<Verdict> {
    let counts = |outcome: &Outcome| match outcome {
        Outcome::Done(_) => stop != Stop::Lost && course.suspended().is_none() && course.left_out().is_none(),
        // Of one that answers a shutdown nobody knows whether it would cancel otherwise; the next attempt does.
        Outcome::Cancel(_) => matches!(stop, Stop::Cancel | Stop::Timeout),
        Outcome::Snooze(_) => false,
    };
    match end {
        Ok(Ok(Ok(outcome))) if counts(&outcome) => Some(verdict_of(Ok(outcome))),
        // Why it ended in the middle is more than that it took its time.
        Ok(Ok(Ok(Outcome::Done(_)))) if stop == Stop::Timeout => Some(verdict_of_task(end, course)),
        _ => verdict_of_stop(stop, timeout),
    }
}

/// Counts the run against the rate of its key; the verdict of a job that may not run yet.
async fn charge(session: &Session, job: &Claimed) -> Option<Verdict> {
    if !job.limited || !session.admission.is_paced() {
        return None;
    }
    match Box::pin(store::limit::charge(&session.pool, job.job_id)).await {
        // It stays a suspect, and keeps its slot; nobody takes it before the rate has something for it.
        Ok(Some(_)) if job.alone => Some(Verdict::Released),
        Ok(wait_ms) => wait_ms.map(Verdict::Snoozed),
        Err(error) => {
            tracing::warn!(job.id = %job.job_id, %error, "the rate of its key cannot be asked: the job is released");
            Some(Verdict::Released)
        }
    }
}

/// The end of a handler's task: its result, its panic, or the runtime's end.
type TaskEnd = Result<Result<JobResult, String>, tokio::task::JoinError>;

fn verdict_of_task(end: TaskEnd, course: &Course) -> Verdict {
    match end {
        Ok(Ok(result)) => match (result, course.suspended()) {
            (Err(_), Some(why)) => Verdict::Waiting(why),
            (Ok(_), Some(_)) => {
                failed(Failure::bug("the workflow went on although it had to wait: what a step returns is handed on with `?`"))
            }
            // One that comes again later, or is no longer wanted, may say so before it has passed over all that it did.
            (Ok(outcome), None) => match course.left_out().filter(|_| matches!(outcome, Outcome::Done(_))) {
                Some(left_out) => failed(left_out),
                None => verdict_of(Ok(outcome)),
            },
            (failure, None) => verdict_of(failure),
        },
        Ok(Err(_)) if planted!("a panic counts as done") => Verdict::Completed(serde_json::Value::Null),
        Ok(Err(panic)) => failed(Failure::bug(format!("the handler panicked: {panic}"))),
        Err(join) => failed(Failure::bug(format!("the handler's task ended early: {join}"))),
    }
}

async fn stop_reason(stopped: &mut watch::Receiver<Option<Stop>>) -> Stop {
    match stopped.wait_for(Option::is_some).await.map(|why| *why) {
        Ok(Some(why)) => why,
        // The sender lives in the session's map until the handler has ended.
        _ => std::future::pending().await,
    }
}

fn verdict_of(result: JobResult) -> Verdict {
    match result {
        Ok(Outcome::Done(output)) => Verdict::Completed(output),
        Ok(Outcome::Snooze(_)) if planted!("a snooze burns an attempt") => failed(Failure::not_ready("snoozed")),
        Ok(Outcome::Snooze(time)) => Verdict::Snoozed(time.as_millis().min(i64::MAX as u128) as i64),
        Ok(Outcome::Cancel(reason)) => Verdict::Cancelled(reason),
        Err(failure) => failed(failure),
    }
}

fn failed(failure: Failure) -> Verdict {
    Verdict::Failed {
        category: failure.category,
        message: failure.message,
        retry_after_ms: failure.retry_after.map(|wait| wait.as_millis().min(i64::MAX as u128) as i64),
    }
}

fn report(job: &Claimed, verdict: &Verdict) {
    crate::metrics::ended(verdict);
    let (id, kind, attempt) = (job.job_id, &job.kind, job.attempt);
    match verdict {
        // A lost race is everyday business: it runs again in a moment.
        Verdict::Failed { category: category @ Category::Conflict, message, .. } => {
            tracing::debug!(job.id = %id, job.kind = kind, attempt, %category, error = message, "attempt failed");
        }
        Verdict::Failed { category, message, .. } => {
            tracing::warn!(job.id = %id, job.kind = kind, attempt, %category, error = message, "attempt failed");
        }
        _ => tracing::debug!(job.id = %id, job.kind = kind, attempt, outcome = verdict.outcome(), "attempt ended"),
    }
}
