//! The recorder: writes how attempts ended, many in one commit.
//!
//! While one batch is being written the next gathers, so batches grow with the load by themselves.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use rand::RngExt;
use sqlx::PgConnection;

use super::{complaint, patience, results::Source, session::Session};
use crate::{
    Category, JobId,
    planted::planted,
    sqlstate,
    store::attempt::{self, Ended, Late, Verdict},
};

/// The most attempts recorded in one statement.
const BATCH: usize = 2000;
/// So often a lock is waited for in one go; what is not recorded then is tried again after so long.
const WAITS_AT_MOST: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
/// While so many ends wait for that no others are taken in, and handlers wait too.
const ASIDE_AT_MOST: usize = BATCH;
/// Each time that so many tries were in vain people are told.
const TRIES_IN_SILENCE: u32 = 30;

/// Records until the end is marked or the worker is declared dead.
pub(super) async fn run(session: Arc<Session>, mut results: Source) {
    let mut recorder = Recorder { session, connection: None, aside: Aside::default() };
    let mut batch = Vec::with_capacity(BATCH);
    let mut over = false;
    while !over {
        over = match recorder.aside.next_try {
            Some(time) if recorder.aside.ended.len() >= ASIDE_AT_MOST => {
                tokio::time::sleep_until(time.into()).await;
                false
            }
            Some(time) => tokio::time::timeout_at(time.into(), results.gather(&mut batch, BATCH)).await.unwrap_or(false),
            None => results.gather(&mut batch, BATCH).await,
        };
        recorder.write(std::mem::take(&mut batch)).await;
        recorder.try_again().await;
    }
    while let Some(time) = recorder.aside.next_try.filter(|_| !recorder.session.lost.is_cancelled()) {
        tokio::time::sleep_until(time.into()).await;
        recorder.try_again().await;
    }
}

/// Ends that somebody's open transaction keeps from being recorded, and when they are tried again.
#[derive(Default)]
struct Aside {
    ended: Vec<Ended>,
    next_try: Option<Instant>,
    tries: u32,
}

impl Aside {
    fn put(&mut self, ended: impl IntoIterator<Item = Ended>) {
        self.ended.extend(ended);
        if !self.ended.is_empty() {
            self.next_try.get_or_insert_with(|| Instant::now() + BETWEEN_TRIES);
        }
    }

    /// All of them, if it is time.
    fn take_due(&mut self) -> Vec<Ended> {
        if self.next_try.is_none_or(|time| time > Instant::now()) {
            return Vec::new();
        }
        self.next_try = None;
        self.tries += 1;
        if self.tries.is_multiple_of(TRIES_IN_SILENCE) {
            tracing::warn!(ends = self.ended.len(), tries = self.tries, "an open transaction keeps ends of jobs from being recorded");
        }
        std::mem::take(&mut self.ended)
    }
}

struct Recorder {
    session: Arc<Session>,
    connection: Option<PgConnection>,
    aside: Aside,
}

impl Recorder {
    /// Tries what waits for a lock.
    async fn try_again(&mut self) {
        let due = self.aside.take_due();
        self.write(due).await;
        if self.aside.ended.is_empty() {
            self.aside.tries = 0;
        }
    }

    /// Writes a batch, in parts where a row is bad or somebody holds a lock that one needs, so that it does not keep the others.
    async fn write(&mut self, batch: Vec<Ended>) {
        let is_done = |ended: &Ended| matches!(ended.verdict, Verdict::Completed(_) | Verdict::Settled);
        let (done, others): (Vec<Ended>, Vec<Ended>) = batch.into_iter().partition(is_done);
        let (mut parts, mut waits) = (vec![done, others], 0);
        while let Some(mut part) = parts.pop() {
            if waits == WAITS_AT_MOST {
                self.aside.put(part);
                continue;
            }
            let closing = self.session.finished_by(&part);
            match self.write_together(&part, &closing).await {
                Ok(()) => self.session.recorded(&part),
                Err(error) if sqlstate::is_lock_timeout(&error) => {
                    waits += 1;
                    parts.extend(self.without_what_is_held(part).await);
                }
                Err(error) if part.len() == 1 => self.write_stand_in(part.remove(0), &error).await,
                Err(_) => {
                    let later = part.split_off(part.len() / 2);
                    parts.extend([later, part]);
                }
            }
        }
    }

    /// What is left of a part when the jobs are set aside whose unique key somebody holds; in halves where that is none of them.
    async fn without_what_is_held(&mut self, part: Vec<Ended>) -> Vec<Vec<Ended>> {
        let held = if part.len() > 1 { self.held(&part).await } else { part.iter().map(|ended| ended.job_id).collect() };
        let (held, mut free): (Vec<Ended>, Vec<Ended>) = part.into_iter().partition(|ended| held.contains(&ended.job_id));
        if held.is_empty() {
            let later = free.split_off(free.len() / 2);
            return vec![later, free];
        }
        self.aside.put(held);
        vec![free]
    }

    async fn held(&mut self, part: &[Ended]) -> HashSet<JobId> {
        let Some(connection) = &mut self.connection else { return HashSet::new() };
        let jobs: Vec<JobId> = part.iter().map(|ended| ended.job_id).collect();
        let held = patience::answer(&self.session, attempt::held(connection, &jobs)).await;
        if held.is_err() {
            self.connection = None;
        }
        held.unwrap_or_default().into_iter().collect()
    }

    /// Writes of an end that it cannot be recorded as it is.
    async fn write_stand_in(&mut self, ended: Ended, error: &sqlx::Error) {
        tracing::error!(job.id = %ended.job_id, %error, "a result cannot be recorded as it is");
        let closing = self.session.finished_by(std::slice::from_ref(&ended));
        let message = format!("the result could not be recorded: {error}");
        let stand_in = Ended { verdict: Verdict::Failed { category: Category::Bug, message, retry_after_ms: None }, ..ended.clone() };
        match self.write_together(&[stand_in], &closing).await {
            Err(error) if sqlstate::is_lock_timeout(&error) => return self.aside.put([ended]),
            Err(error) => {
                tracing::error!(job.id = %ended.job_id, %error, "a result cannot be recorded at all; the job runs again after this worker ends");
                self.session.leave_to_rescue(ended.claim_id);
            }
            Ok(()) => (),
        }
        self.session.recorded(&[ended]);
    }

    /// Writes some in one go and drops the claims that they finish, of `closing`, waiting for a database that is away; gives up only
    /// when the worker is declared dead.
    ///
    /// # Errors
    /// What the database says of the data, or that somebody holds a lock.
    async fn write_together(&mut self, batch: &[Ended], closing: &[i64]) -> Result<(), sqlx::Error> {
        let mut refusals = 0;
        while !batch.is_empty() && !self.session.lost.is_cancelled() {
            match self.try_to_write(batch, closing).await {
                Ok(late) => {
                    report_late(&late);
                    return Ok(());
                }
                Err(error) if is_about_data(&error) || sqlstate::is_lock_timeout(&error) => return Err(error),
                Err(_) if planted!("recorder gives up when the connection breaks") => return Ok(()),
                // Whatever it is, waiting does not cure it for all of them at once.
                Err(error) if refusals >= 3 => return Err(error),
                Err(error) => {
                    complaint::warn(self.session.worker_id, "cannot record results, trying again", &error);
                    refusals += u32::from(sqlstate::is_refusal(&error));
                    self.connection = None;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
        Ok(())
    }

    async fn try_to_write(&mut self, batch: &[Ended], closing: &[i64]) -> Result<Late, sqlx::Error> {
        if self.connection.is_none() {
            self.connection = Some(self.session.connect().await?);
        }
        let connection = self.connection.as_mut().expect("set on the line above");
        patience::answer(&self.session, record(&self.session, connection, batch, closing)).await
    }
}

async fn record(session: &Session, connection: &mut PgConnection, batch: &[Ended], closing: &[i64]) -> Result<Late, sqlx::Error> {
    let (mut completed, mut others, mut settled) = (Vec::with_capacity(batch.len()), Vec::new(), false);
    for ended in batch {
        match ended.verdict {
            Verdict::Settled => settled = true,
            Verdict::Completed(_) => completed.push(ended),
            _ => others.push(ended),
        }
    }
    for some in [&mut completed, &mut others] {
        some.sort_unstable_by_key(|ended| (ended.job_id.0, ended.attempt));
    }
    let mut late = Late::new();
    if !others.is_empty() {
        let jitter: Vec<f64> = others.iter().map(|_| rand::rng().random_range(0.0..1.0)).collect();
        late.extend(attempt::settle(connection, session.worker_id, &others, &jitter, closing).await?);
    }
    if !completed.is_empty() || (others.is_empty() && settled && !closing.is_empty()) {
        late.extend(attempt::complete(connection, session.worker_id, &completed, closing).await?);
    }
    Ok(late)
}

/// Whether the data is to blame; some of it never reaches the server.
fn is_about_data(error: &sqlx::Error) -> bool {
    sqlstate::is_of_value(error) || matches!(error, sqlx::Error::Encode(_))
}

fn report_late(late: &Late) {
    for (job_id, attempt) in late {
        crate::metrics::late();
        tracing::info!(job.id = %job_id, attempt, "this result came too late: the attempt had been ended by somebody else");
    }
}
