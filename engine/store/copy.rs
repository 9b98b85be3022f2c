//! Jobs by the hundred thousand: the rows of `job` and of their places as two COPYs in the caller's transaction.
//!
//! PostgreSQL does not prepare COPY, so its statements are here and not in `engine/sql`.

use std::fmt::{Display, Write};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{StoreError, job::refused, lane, sql};
use crate::{JobId, NewJob};

const JOBS: &str = "copy engine.job (id, lane_id, max_attempts, args, parent_id, trace_parent, deadline) from stdin";
const READY: &str = "copy engine.ready (lane_id, attempt, position, job_id) from stdin";
const SCHEDULED: &str = "copy engine.scheduled (run_at, job_id, lane_id, attempt) from stdin";

/// Rows of one COPY: a few megabytes of text.
const CHUNK: usize = 20_000;
/// A row's end, and the mark of a null.
const NULL: &str = "\\N";

/// Stores jobs; the answer has one id a job, in order.
///
/// # Errors
/// [`StoreError::NotForCopy`] when one has a key, which has to be looked up; [`StoreError::Refused`] for a number that is none;
/// [`StoreError::QueueFull`]; otherwise the database's.
pub async fn enqueue(connection: &mut PgConnection, jobs: &[NewJob]) -> Result<Vec<JobId>, StoreError> {
    if let Some(refusal) = jobs.iter().enumerate().find_map(|(index, job)| Some(StoreError::NotForCopy(index, key_of(job)?))) {
        return Err(refusal);
    }
    jobs.iter().try_for_each(NewJob::check)?;
    let (at, _xid): (DateTime<Utc>, String) = sqlx::query_as(sql!("job/copy_begin")).fetch_one(&mut *connection).await?;
    let mut ids = Vec::with_capacity(jobs.len());
    for chunk in jobs.chunks(CHUNK) {
        let lanes = lane::of_jobs(connection, &chunk.iter().collect::<Vec<_>>()).await?;
        let new: Vec<JobId> = sqlx::query_scalar(sql!("job/copy_ids")).bind(chunk.len() as i32).fetch_one(&mut *connection).await?;
        let rows = Rows::of(chunk, &lanes, &new, at);
        copy(connection, JOBS, rows.jobs).await?;
        copy(connection, READY, rows.ready).await?;
        copy(connection, SCHEDULED, rows.scheduled).await?;
        ids.extend(new);
    }
    sqlx::query(sql!("job/wake")).execute(connection).await?;
    Ok(ids)
}

/// The key that keeps a job out of a COPY.
fn key_of(job: &NewJob) -> Option<&'static str> {
    job.key_of_its_own().or_else(|| job.limit_key.as_ref().map(|_| "a limit key"))
}

async fn copy(connection: &mut PgConnection, statement: &str, rows: String) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut sink = connection.copy_in_raw(statement).await?;
    match sink.send(rows.into_bytes()).await {
        Ok(_) => sink.finish().await.map(drop).map_err(refused),
        Err(error) => {
            sink.abort("the rows could not be sent").await?;
            Err(refused(error))
        }
    }
}

/// The rows of each table, as COPY reads them.
#[derive(Default)]
struct Rows {
    jobs: String,
    ready: String,
    scheduled: String,
}

impl Rows {
    fn of(jobs: &[NewJob], lanes: &[i32], ids: &[JobId], at: DateTime<Utc>) -> Self {
        let mut rows = Self::default();
        for ((job, lane), id) in jobs.iter().zip(lanes).zip(ids) {
            rows.add(job, *lane, *id, at);
        }
        rows
    }

    fn add(&mut self, job: &NewJob, lane: i32, id: JobId, at: DateTime<Utc>) {
        let row = &mut self.jobs;
        let _ = write!(row, "{id}\t{lane}\t");
        add_or_null(row, job.max_attempts);
        row.push('\t');
        add_escaped(row, job.args.get());
        row.push('\t');
        add_or_null(row, job.parent);
        row.push('\t');
        match job.trace() {
            Some(trace) => add_escaped(row, &trace.text()),
            None => row.push_str(NULL),
        }
        row.push('\t');
        add_or_null(row, job.deadline.map(|at| at.to_rfc3339()));
        row.push('\n');
        let run_at = job.run_at.or_else(|| job.delay.map(|delay| at + delay));
        let _ = match run_at.filter(|run_at| *run_at > at) {
            Some(run_at) => writeln!(self.scheduled, "{}\t{id}\t{lane}\t1", run_at.to_rfc3339()),
            None => writeln!(self.ready, "{lane}\t1\t{id}\t{id}"),
        };
    }
}

fn add_or_null(row: &mut String, value: Option<impl Display>) {
    // Writing to a string cannot fail.
    let _ = match value {
        Some(value) => write!(row, "{value}"),
        None => write!(row, "{NULL}"),
    };
}

/// Adds a text in which COPY finds no end of a column or a row.
fn add_escaped(row: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '\n', '\r', '\t']) {
        row.push_str(&rest[..at]);
        row.push_str(match rest.as_bytes()[at] {
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            _ => "\\t",
        });
        rest = &rest[at + 1..];
    }
    row.push_str(rest);
}
