//! What attempts say of the system that they called.

use crate::JobId;

/// How attempts ended that called a system, in one category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// The system.
    pub system: &'static str,
    /// The error category; `None` when the system answered.
    pub category: Option<&'static str>,
    /// How many.
    pub ended: i64,
    /// The longest wait that the other side asked for, in milliseconds.
    pub wait_ms: Option<i64>,
    /// The last error.
    pub error: Option<String>,
}

/// What a probe has found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// The system answered.
    Answered,
    /// The attempt failed in this category.
    Failed(&'static str),
    /// It ended without a call.
    NoCall,
    /// Nothing that is known: its worker died, for one.
    Nothing,
}

impl Finding {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed(_) => "failed",
            Self::NoCall => "no_call",
            Self::Nothing => "nothing",
        }
    }

    pub(super) const fn category(self) -> Option<&'static str> {
        if let Self::Failed(category) = self { Some(category) } else { None }
    }
}

/// What became of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// The system.
    pub system: &'static str,
    /// The job.
    pub job_id: JobId,
    /// The number of the run.
    pub attempt: i32,
    /// What it found out.
    pub finding: Finding,
}
