//! The doctor: every promise of the ledger as a statement that returns the rows which break it.
//!
//! Each statement sees one snapshot, in which every job stands in exactly one place, so it is safe on a live system.
//! What the first look finds is looked for again half a second later and reported only when it is still there:
//! a request that is being withdrawn, or a claim that is being closed, is no fault.
//!
//! The statements join sets, not row by row. Those marked "Scans" in their file read whole tables: with a million ended
//! jobs all checks take some 2 s together, with a million ready ones beside them some 8 s.

use std::time::Duration;

use serde::Serialize;
use sqlx::{PgConnection, PgPool};

use super::look;
use crate::JobId;

/// How long a finding must last.
const SECOND_LOOK: Duration = Duration::from_millis(500);

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A promise is broken: a mistake in the engine, or somebody changed its tables by hand.
    Fault,
    /// The ledger is whole, but something stands still until an operator acts.
    Warning,
}

impl Severity {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Warning => "warning",
        }
    }
}

/// One row that breaks a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check that found it: the name of its statement.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The job it is about, if it is about one.
    pub job_id: Option<JobId>,
    /// What is wrong, in words.
    pub detail: String,
}

impl Finding {
    /// Whether a second look found the same thing. Words about a job may count differently half a second later.
    fn is(&self, other: &Self) -> bool {
        self.check == other.check && self.job_id == other.job_id && (self.job_id.is_some() || self.detail == other.detail)
    }
}

struct Check {
    name: &'static str,
    severity: Severity,
    statement: &'static str,
}

macro_rules! checks {
    ($($severity:ident $name:literal,)*) => {
        &[$(Check {
            name: $name,
            severity: Severity::$severity,
            statement: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/doctor/", $name, ".sql")),
        },)*]
    };
}

/// Every check, in the order of what to look at first.
const CHECKS: &[Check] = checks![
    Fault "job_missing",
    Fault "job_in_two_places",
    Fault "place_without_job",
    Fault "lane_missing",
    Fault "attempt_number_wrong",
    Fault "attempts_with_gap",
    Fault "attempt_after_final",
    Fault "lost_alone_too_often",
    Fault "dead_without_letter",
    Fault "letter_without_dead",
    Fault "unique_key_of_ended_job",
    Fault "unique_key_not_held",
    Fault "slot_missing",
    Fault "permit_without_run",
    Fault "slot_without_live_job",
    Fault "slot_free_and_waited_for",
    Fault "cancel_of_ended_job",
    Fault "claim_of_dead_worker",
    Fault "claim_left_open",
    Fault "idle_worker_gone",
    Fault "due_not_promoted",
    Fault "parked_not_woken",
    Fault "steps_with_gap",
    Fault "step_without_job",
    Fault "child_of_ended_job",
    Fault "aftermath_left",
    Fault "retry_policy_broken",
    Fault "partitions_short",
    Fault "id_beyond_partitions",
    Warning "breaker_stuck",
    Warning "slots_over_cap",
    Warning "kind_unknown",
    Warning "override_of_unknown_kind",
    Warning "attempts_without_end",
    Warning "worker_silent",
    Warning "roles_not_set_up",
    Warning "schedule_broken",
    Warning "scheduler_missing",
    Warning "duty_overdue",
    Warning "house_unkept",
];

/// The names of all checks.
pub fn checks() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|check| check.name)
}

/// Looks at everything, on a live system; at most 100 findings a check.
///
/// # Errors
/// The database's: nothing can be said then.
pub async fn examine(pool: &PgPool) -> Result<Vec<Finding>, sqlx::Error> {
    let first = examine_once(&mut *look::begin(pool).await?, |_| true).await?;
    if first.is_empty() {
        return Ok(first);
    }
    tokio::time::sleep(SECOND_LOOK).await;
    let mut second = examine_once(&mut *look::begin(pool).await?, |check| first.iter().any(|finding| finding.check == check.name)).await?;
    second.retain(|finding| first.iter().any(|before| before.is(finding)));
    Ok(second)
}

async fn examine_once(connection: &mut PgConnection, wanted: impl Fn(&Check) -> bool) -> Result<Vec<Finding>, sqlx::Error> {
    let mut findings = Vec::new();
    for check in CHECKS.iter().filter(|check| wanted(check)) {
        let rows: Vec<(Option<JobId>, String)> = sqlx::query_as(check.statement).persistent(false).fetch_all(&mut *connection).await?;
        let (name, severity) = (check.name, check.severity);
        findings.extend(rows.into_iter().map(|(job_id, detail)| Finding { check: name, severity, job_id, detail }));
    }
    Ok(findings)
}
