//! The recorder: writes how attempts ended, many in one commit.
//!
//! While one batch is being written the next gathers, so batches grow with the load by themselves.

use std::{sync::Arc, time::Duration};

use rand::RngExt;
use sqlx::PgConnection;
use tokio::sync::mpsc;

use super::{complaint, patience, session::Session};
use crate::{
    Category, JobId,
    planted::planted,
    sqlstate,
    store::attempt::{self, Ended, Late, Verdict},
};

/// The most attempts recorded in one statement.
const BATCH: usize = 2000;

/// Marks the end of the results: nothing comes after it.
pub(super) async fn close(session: &Session) {
    let last = Ended {
        claim_id: -1,
        lane_id: 0,
        job_id: JobId(-1),
        attempt: -1,
        run_us: 0,
        unique_key: false,
        has_parent: false,
        limited: false,
        permitted: false,
        in_run: false,
        taken_to: 0,
        verdict: Verdict::Settled,
    };
    let _ = session.record.send(last).await;
}

/// Records until the end is marked or the worker is declared dead.
pub(super) async fn run(session: Arc<Session>, mut results: mpsc::Receiver<Ended>) {
    let mut connection = None;
    let mut batch = Vec::with_capacity(BATCH);
    let mut over = false;
    while !over && results.recv_many(&mut batch, BATCH).await > 0 {
        over = batch.iter().any(|ended| ended.claim_id == -1);
        batch.retain(|ended| ended.claim_id != -1);
        write(&session, &mut connection, &batch).await;
        session.recorded(&batch);
        batch.clear();
    }
}

/// Writes one batch. Where a row is bad each is written alone, so that it does not keep the others.
async fn write(session: &Session, connection: &mut Option<PgConnection>, batch: &[Ended]) {
    let closing = session.finished_by(batch);
    if batch.is_empty() || write_together(session, connection, batch, &closing).await.is_ok() {
        return;
    }
    for ended in batch {
        let closing: Vec<i64> = closing.iter().copied().filter(|claim| *claim == ended.claim_id).collect();
        let Err(error) = write_together(session, connection, std::slice::from_ref(ended), &closing).await else { continue };
        tracing::error!(job.id = %ended.job_id, %error, "a result cannot be recorded as it is");
        let message = format!("the result could not be recorded: {error}");
        let stand_in = Ended { verdict: Verdict::Failed { category: Category::Bug, message, retry_after_ms: None }, ..ended.clone() };
        if let Err(error) = write_together(session, connection, &[stand_in], &closing).await {
            tracing::error!(job.id = %ended.job_id, %error, "a result cannot be recorded at all; the job runs again after this worker ends");
            session.leave_to_rescue(ended.claim_id);
        }
    }
}

/// Writes one batch in one go and drops the claims that it finishes, of `closing`, waiting for a database that is away; gives up only
/// when the worker is declared dead.
///
/// # Errors
/// What the database says of the data.
async fn write_together(
    session: &Session,
    connection: &mut Option<PgConnection>,
    batch: &[Ended],
    closing: &[i64],
) -> Result<(), sqlx::Error> {
    let mut refusals = 0;
    while !session.lost.is_cancelled() {
        let result = async {
            if connection.is_none() {
                *connection = Some(session.connect().await?);
            }
            let connection = connection.as_mut().expect("set on the line above");
            patience::answer(session, record(session, connection, batch, closing)).await
        }
        .await;
        match result {
            Ok(late) => {
                report_late(&late);
                return Ok(());
            }
            Err(error) if is_about_data(&error) => return Err(error),
            Err(_) if planted!("recorder gives up when the connection breaks") => return Ok(()),
            // Whatever it is, waiting does not cure it for all of them at once.
            Err(error) if refusals >= 3 => return Err(error),
            Err(error) => {
                complaint::warn(session.worker_id, "cannot record results, trying again", &error);
                refusals += u32::from(sqlstate::is_refusal(&error));
                *connection = None;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
    Ok(())
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
