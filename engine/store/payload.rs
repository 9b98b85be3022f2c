//! What is stored and not yet run, against what this program can decode: asked before a deploy.

use serde::Serialize;
use sqlx::PgPool;
use uuid::Uuid;

use super::{StoreError, look, sql};
use crate::{Job, JobId, Kinds, workflow::Batch};

/// Jobs looked at in one go.
const PAGE: i64 = 2000;

/// Stored arguments that this program cannot run.
#[derive(Debug, Clone, Serialize)]
pub struct Unreadable {
    /// The job; of what is no job yet, the workflow that it undoes.
    pub job_id: JobId,
    /// Its kind.
    pub kind: String,
    /// Its open dead letter, if it died.
    pub letter_id: Option<Uuid>,
    /// The step of the workflow that it undoes, should the workflow be cancelled or die.
    pub undoes: Option<i32>,
    /// Why: the decoder's words, or that the kind is unknown here.
    pub reason: String,
}

/// What a look at all stored arguments came to.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// How many were decoded.
    pub looked_at: u64,
    /// Those that could not be.
    pub unreadable: Vec<Unreadable>,
}

#[derive(sqlx::FromRow)]
struct Stored {
    job_id: JobId,
    kind: String,
    args: String,
    letter_id: Option<Uuid>,
    #[sqlx(default)]
    undoes: Option<i32>,
    /// Its number among what undoes the step.
    #[sqlx(default)]
    n: i32,
}

/// Decodes the arguments of every job that has not ended, of every open dead letter, and of what would undo a workflow, page by
/// page. Of a batch that includes what it calls back.
///
/// # Errors
/// The database's.
pub async fn examine(pool: &PgPool, kinds: &Kinds) -> Result<Report, StoreError> {
    let kinds = kinds.clone().with_own();
    let mut report = Report::default();
    let mut last = JobId(0);
    loop {
        let mut tx = look::begin(pool).await?;
        let page: Vec<Stored> = sqlx::query_as(sql!("payload/stored")).bind(last).bind(PAGE).fetch_all(&mut *tx).await?;
        drop(tx);
        let Some(end) = page.last() else { break };
        last = end.job_id;
        report.add(&kinds, page);
    }
    let mut last = (JobId(0), 0, 0);
    loop {
        let mut tx = look::begin(pool).await?;
        let asking = sqlx::query_as(sql!("payload/undoing")).bind(last.0).bind(last.1).bind(last.2).bind(PAGE);
        let page: Vec<Stored> = asking.fetch_all(&mut *tx).await?;
        drop(tx);
        let Some(end) = page.last() else { return Ok(report) };
        last = (end.job_id, end.undoes.unwrap_or_default(), end.n);
        report.add(&kinds, page);
    }
}

impl Report {
    fn add(&mut self, kinds: &Kinds, page: Vec<Stored>) {
        self.looked_at += page.len() as u64;
        self.unreadable.extend(page.into_iter().filter_map(|stored| {
            let reason = check(kinds, &stored.kind, &stored.args).err()?;
            let Stored { job_id, kind, letter_id, undoes, .. } = stored;
            Some(Unreadable { job_id, kind, letter_id, undoes, reason })
        }));
    }
}

fn check(kinds: &Kinds, kind: &str, args: &str) -> Result<(), String> {
    kinds.check(kind, args)?;
    match Batch::callback(args).filter(|_| kind == Batch::KIND) {
        Some((kind, args)) => kinds.check(&kind, &args).map_err(|reason| format!("what it calls back, {kind}: {reason}")),
        None => Ok(()),
    }
}
