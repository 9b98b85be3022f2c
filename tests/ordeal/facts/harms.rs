//! Harm: what befell a process from outside, and until when.

use chrono::{DateTime, Utc};

use super::Facts;
use crate::{faults::Class, process::Life};

/// A fault may hold up for so long what begins after it.
const AROUND_US: i64 = 8_000_000;

/// A span in which a process may not have done what it must, by the wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Harm {
    /// From when on.
    pub from: DateTime<Utc>,
    /// Until when; none where the process never got over it.
    pub until: Option<DateTime<Utc>>,
}

impl Facts {
    /// What befell a process.
    pub fn harms(&self, pid: i64) -> Vec<Harm> {
        let lives: Vec<&Life> = self.lives.iter().filter(|life| i64::from(life.pid) == pid).collect();
        let harm = |(place, life): (usize, &&Life)| {
            let over = match life.what.as_str() {
                "STOP" => "CONT",
                // A wire that is mended is of use when both kernels have sent again.
                "CUT" => "BACK",
                // What comes to harm at a place does so unseen, and a clock stays wrong.
                "armed" | "KILL" | "TERM" | "found dead" => "",
                _ => return None,
            };
            let until = lives[place..].iter().find(|later| later.what == over).map(|later| later.at);
            Some(Harm { from: life.at, until })
        };
        lives.iter().enumerate().filter_map(harm).collect()
    }

    /// Whether anything befell a process before a moment, by the clock of all.
    pub fn was_harmed_before(&self, pid: u32, at_us: i64) -> bool {
        self.lives.iter().any(|life| life.pid == pid && life.what != "started" && life.at_us < at_us)
    }

    /// Whether nothing struck within a span that could hold up what waits in it, by the clock of all.
    pub fn was_calm(&self, from_us: i64, to_us: i64) -> bool {
        !self.faults.iter().any(|fault| fault.begin_us < to_us && fault.end_us > from_us - AROUND_US)
    }

    /// Whether the server, or the way to it, was struck within a span, by the clock of all.
    pub fn was_away(&self, from_us: i64, to_us: i64) -> bool {
        self.faults.iter().any(|fault| fault.begin_us < to_us && fault.end_us > from_us && fault.struck(Class::is_of_server))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::made::{life, wall};

    #[test]
    fn a_process_gets_over_a_stop_and_a_cut_and_over_nothing_else() {
        let lives = vec![
            life(0, 1, "started"),
            life(10, 1, "STOP"),
            life(15, 2, "CONT"),
            life(20, 1, "CONT"),
            life(30, 1, "CUT"),
            life(40, 1, "MENDED"),
            life(50, 1, "BACK"),
            life(60, 1, "CUT"),
            life(70, 1, "KILL"),
            life(80, 1, "found dead"),
        ];
        let facts = Facts { lives, ..Facts::default() };
        let harm = |from, until: Option<i64>| Harm { from: wall(from), until: until.map(wall) };
        let harms = [harm(10, Some(20)), harm(30, Some(50)), harm(60, None), harm(70, None), harm(80, None)];
        assert_eq!(facts.harms(1), harms);
        assert!(!facts.was_harmed_before(1, 10_000) && facts.was_harmed_before(1, 10_001), "to be started is no harm");
    }
}
