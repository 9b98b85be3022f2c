//! What follows when an occurrence was missed, or comes while its last job lives; and how they are spelled.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// The most missed occurrences that can be caught up with.
pub const CATCH_UP_LIMIT: usize = 1000;
/// The longest jitter.
pub const JITTER_LIMIT: Duration = Duration::from_hours(24);

/// What becomes of occurrences that were missed. One counts as missed when nobody fired it for as long as
/// [`Config::grace`](super::Config::grace), because no scheduler ran or the database was away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfire {
    /// They are let go.
    Skip,
    /// The latest is made good, unless one on time comes after it.
    Latest,
    /// The newest so many are made good, oldest first.
    All(usize),
}

/// What happens to an occurrence that comes while its last job still lives: waits, runs, or is to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// It makes no job.
    Skip,
    /// It makes a job beside the other.
    Allow,
    /// It makes its job when the other has ended; of more such occurrences only the first does.
    Buffer,
}

impl fmt::Display for Misfire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skip => f.write_str("skip"),
            Self::Latest => f.write_str("latest"),
            Self::All(most) => write!(f, "all:{most}"),
        }
    }
}

impl FromStr for Misfire {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let most = match text {
            "skip" => return Ok(Self::Skip),
            "latest" => return Ok(Self::Latest),
            "all" => Some(CATCH_UP_LIMIT),
            _ => text.strip_prefix("all:").and_then(|most| most.parse().ok()).filter(|most| (1..=CATCH_UP_LIMIT).contains(most)),
        };
        most.map(Self::All).ok_or_else(|| format!("a misfire policy is skip, latest, or all:N with N from 1 to {CATCH_UP_LIMIT}"))
    }
}

impl Overlap {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Allow => "allow",
            Self::Buffer => "buffer",
        }
    }
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Overlap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "skip" => Ok(Self::Skip),
            "allow" => Ok(Self::Allow),
            "buffer" => Ok(Self::Buffer),
            _ => Err("an overlap policy is skip, allow or buffer".into()),
        }
    }
}

impl Serialize for Misfire {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Overlap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// When the job of an occurrence runs: up to `jitter` later, always the same for the same occurrence.
pub(super) fn jittered(schedule: &str, occurrence: DateTime<Utc>, jitter: Duration) -> DateTime<Utc> {
    let name = format!("{schedule} {}", occurrence.timestamp());
    let (drawn, _) = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).as_u64_pair();
    let span = jitter.min(JITTER_LIMIT).as_millis() as u64;
    occurrence + Duration::from_millis(drawn % (span + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_as_they_are_written() {
        for text in ["skip", "latest", "all:1", "all:1000"] {
            assert_eq!(text.parse::<Misfire>().map(|misfire| misfire.to_string()), Ok(text.into()));
        }
        for text in ["skip", "allow", "buffer"] {
            assert_eq!(text.parse::<Overlap>().map(|overlap| overlap.to_string()), Ok(text.into()));
        }
        assert_eq!("all".parse(), Ok(Misfire::All(CATCH_UP_LIMIT)));
        for text in ["", "all:0", "all:1001", "all:-1", "ALL", "once"] {
            assert!(text.parse::<Misfire>().is_err(), "{text}");
        }
        assert!("queue".parse::<Overlap>().is_err());
    }

    #[test]
    fn jitter_is_bounded_spread_and_the_same_for_the_same_occurrence() {
        let (start, jitter) = (DateTime::UNIX_EPOCH, Duration::from_mins(1));
        let late = |n: i64| (jittered("a", start + chrono::TimeDelta::hours(n), jitter) - start).num_milliseconds() - n * 3_600_000;
        let delays: Vec<i64> = (0..1000).map(late).collect();
        assert!(delays.iter().all(|delay| (0..=60_000).contains(delay)));
        assert_eq!(delays, (0..1000).map(late).collect::<Vec<_>>());
        let early = delays.iter().filter(|delay| **delay < 30_000).count();
        assert!((400..600).contains(&early), "{early} of 1000 are in the first half");
        assert_ne!(jittered("a", start, jitter), jittered("b", start, jitter));
        assert_eq!(jittered("a", start, Duration::ZERO), start);
    }
}
