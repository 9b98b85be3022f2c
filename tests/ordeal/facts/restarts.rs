//! Workflows that run again from one of their steps.

use std::collections::HashMap;

use sqlx::PgPool;

use super::{Facts, Job};
use crate::{
    model::{Foreseen, foresee, foresee_again},
    program::Program,
};

/// A workflow that runs again.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Restart {
    /// The new job.
    pub job_id: i64,
    /// The old one.
    pub restarted_from: i64,
    /// From which step.
    pub from_step: i32,
    /// Who asked for it.
    pub restarted_by: String,
    /// How many acts it has that it did not do itself.
    pub taken_over: i64,
}

/// All of them, by the new job.
pub(super) async fn all(pool: &PgPool) -> Result<HashMap<i64, Restart>, sqlx::Error> {
    let restarts: Vec<Restart> = super::all(
        pool,
        "select r.job_id, r.restarted_from, r.from_step, r.restarted_by,
            (select count(*) from engine.step s where s.job_id = r.job_id and s.attempt = 0) as taken_over
         from engine.restart r",
    )
    .await?;
    Ok(restarts.into_iter().map(|restart| (restart.job_id, restart)).collect())
}

impl Facts {
    /// What must be left of a program by one of its jobs.
    pub fn foresee<'a>(&self, job: &Job, program: &'a Program) -> Foreseen<'a> {
        match self.restarts.get(&job.id) {
            Some(restart) => foresee_again(program, restart.from_step.saturating_sub(1) as usize),
            None => foresee(program),
        }
    }
}
