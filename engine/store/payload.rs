//! What is stored and not yet run, against what this program can decode: asked before a deploy.

use serde::Serialize;
use sqlx::PgPool;
use uuid::Uuid;

use super::{StoreError, look, sql};
use crate::{JobId, Kinds};

/// Jobs looked at in one go.
const PAGE: i64 = 2000;

/// Stored arguments that this program cannot run.
#[derive(Debug, Clone, Serialize)]
pub struct Unreadable {
    /// The job.
    pub job_id: JobId,
    /// Its kind.
    pub kind: String,
    /// Its open dead letter, if it died.
    pub letter_id: Option<Uuid>,
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
}

/// Decodes the arguments of every job that has not ended and of every open dead letter, page by page.
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
        let Some(end) = page.last() else { return Ok(report) };
        last = end.job_id;
        report.looked_at += page.len() as u64;
        report.unreadable.extend(page.into_iter().filter_map(|stored| {
            let reason = kinds.check(&stored.kind, &stored.args).err()?;
            Some(Unreadable { job_id: stored.job_id, kind: stored.kind, letter_id: stored.letter_id, reason })
        }));
    }
}
