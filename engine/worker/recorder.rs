//! The recorder: writes how attempts ended, many in one commit.
//!
//! While one batch is being written the next gathers, so batches grow with the load by themselves.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use rand::RngExt;
use sqlx::PgConnection;

use super::{complaint, patience, results::Source, session::Session};
use crate::{
    Category,
    planted::planted,
    sqlstate,
    store::attempt::{self, Ended, Late, Verdict},
};

/// The most attempts recorded in one statement.
const BATCH: usize = 2000;
/// So many that wait for a lock are tried in one go, and after so long again.
const KEPT_AT_MOST: usize = 10;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// Records until the end is marked or the worker is declared dead.
pub(super) async fn run(session: Arc<Session>, mut results: Source) {
    let mut recorder = Recorder { session, connection: None, aside: Aside::default() };
    let mut batch = Vec::with_capacity(BATCH);
    let mut over = false;
    while !over {
        let gathering = results.gather(&mut batch, BATCH);
        over = match recorder.aside.next_try() {
            Some(time) => tokio::time::timeout_at(time.into(), gathering).await.unwrap_or(false),
            None => gathering.await,
        };
        recorder.write(&mut batch).await;
        recorder.try_again().await;
    }
    while let Some(time) = recorder.aside.next_try().filter(|_| !recorder.session.lost.is_cancelled()) {
        tokio::time::sleep_until(time.into()).await;
        recorder.try_again().await;
    }
}

/// Ends that somebody's open transaction keeps from being recorded, and when they are tried again.
#[derive(Default)]
struct Aside {
    ended: VecDeque<Ended>,
    tried: Option<Instant>,
}

impl Aside {
    fn next_try(&self) -> Option<Instant> {
        (!self.ended.is_empty()).then(|| self.tried.map_or_else(Instant::now, |tried| tried + BETWEEN_TRIES))
    }
}

struct Recorder {
    session: Arc<Session>,
    connection: Option<PgConnection>,
    aside: Aside,
}

impl Recorder {
    /// Writes one batch. Where a row is bad, or somebody holds a lock that one needs, each is written alone, so that it does not keep the
    /// others.
    async fn write(&mut self, batch: &mut Vec<Ended>) {
        let closing = self.session.finished_by(batch);
        if self.write_together(batch, &closing).await.is_ok() {
            self.session.recorded(batch);
            batch.clear();
        } else {
            self.write_each(batch.drain(..).collect()).await;
        }
    }

    /// Tries what waits for a lock, those first that have waited longest.
    async fn try_again(&mut self) {
        if self.aside.next_try().is_some_and(|time| time <= Instant::now()) {
            let waiting = std::mem::take(&mut self.aside.ended);
            self.write_each(waiting).await;
        }
    }

    /// Writes each alone, until so many had to wait for a lock that the others are left for later.
    async fn write_each(&mut self, mut batch: VecDeque<Ended>) {
        let mut kept = 0;
        while kept < KEPT_AT_MOST
            && let Some(ended) = batch.pop_front()
        {
            if self.write_alone(&ended).await {
                self.session.recorded(&[ended]);
            } else {
                kept += 1;
                self.aside.ended.push_back(ended);
            }
        }
        for ended in batch.into_iter().rev() {
            self.aside.ended.push_front(ended);
        }
        self.aside.tried = Some(Instant::now());
    }

    /// Writes one, or that it cannot be written as it is; false when somebody holds a lock that it needs.
    async fn write_alone(&mut self, ended: &Ended) -> bool {
        let closing = self.session.finished_by(std::slice::from_ref(ended));
        let Err(error) = self.write_together(std::slice::from_ref(ended), &closing).await else { return true };
        if sqlstate::is_lock_timeout(&error) {
            tracing::debug!(job.id = %ended.job_id, "somebody's transaction keeps an end from being recorded: later");
            return false;
        }
        tracing::error!(job.id = %ended.job_id, %error, "a result cannot be recorded as it is");
        let message = format!("the result could not be recorded: {error}");
        let stand_in = Ended { verdict: Verdict::Failed { category: Category::Bug, message, retry_after_ms: None }, ..ended.clone() };
        match self.write_together(&[stand_in], &closing).await {
            Err(error) if sqlstate::is_lock_timeout(&error) => return false,
            Err(error) => {
                tracing::error!(job.id = %ended.job_id, %error, "a result cannot be recorded at all; the job runs again after this worker ends");
                self.session.leave_to_rescue(ended.claim_id);
            }
            Ok(()) => (),
        }
        true
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
