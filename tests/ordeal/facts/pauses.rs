//! Pauses: a process was stopped, or cut off from the server, and then went on.

use std::collections::HashMap;

use crate::process::{Life, child::LEASE};

/// A pause that a process lived through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// Whether it was cut off, not stopped.
    pub is_cut: bool,
    /// Whether its lease ran out meanwhile.
    pub is_past_lease: bool,
}

impl Pause {
    /// The pauses of these lives, which are in the order of time.
    pub fn of(lives: &[Life]) -> Vec<Self> {
        let mut begun: HashMap<(u32, bool), i64> = HashMap::new();
        let mut pauses = Vec::new();
        for life in lives {
            let is_cut = matches!(life.what.as_str(), "CUT" | "MENDED");
            match life.what.as_str() {
                "STOP" | "CUT" => {
                    begun.insert((life.pid, is_cut), life.at_us);
                }
                "CONT" | "MENDED" => {
                    let since = begun.remove(&(life.pid, is_cut));
                    // One that a place stopped was stopped for a part of its lease at least; only the signal is in the ledger.
                    let is_past_lease = since.is_none_or(|since| life.at_us - since > LEASE.as_micros() as i64);
                    pauses.push(Self { is_cut, is_past_lease });
                }
                _ => (),
            }
        }
        pauses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_goes_on_was_stopped_or_cut_off_for_less_than_its_lease_or_longer() {
        let life = |ms: i64, pid: u32, what: &str| Life {
            at_us: ms * 1000,
            at: chrono::DateTime::UNIX_EPOCH,
            pid,
            role: "worker-0".into(),
            what: what.into(),
        };
        let lives = [
            life(0, 1, "started"),
            life(10, 1, "CUT"),
            life(20, 2, "STOP"),
            life(30, 3, "CUT"),
            life(1500, 2, "CONT"),
            // Killed meanwhile, so nobody notes that it goes on.
            life(1600, 3, "found dead"),
            life(2500, 1, "MENDED"),
            life(2600, 4, "CONT"),
            life(2700, 1, "CUT"),
            life(2800, 1, "MENDED"),
        ];
        let pauses: Vec<_> = Pause::of(&lives).iter().map(|pause| (pause.is_cut, pause.is_past_lease)).collect();
        assert_eq!(pauses, [(false, false), (true, true), (false, true), (true, false)]);
    }
}
