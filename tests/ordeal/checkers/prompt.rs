//! prompt: what a worker held that was killed is soon given back, unless the server was struck too.

use super::Finding;
use crate::facts::{Again, Facts};

/// `None`: nobody was killed who held something, or only when the server was struck too.
pub fn check(facts: &Facts) -> Option<Finding> {
    let killed = Again::of(facts, "KILL");
    (!killed.is_empty()).then(|| judge(&killed))
}

fn judge(killed: &[Again]) -> Finding {
    let mut finding = Finding::new("prompt", "what a killed worker held is given back soon");
    for again in killed {
        finding.holds(again.given_back <= Again::LONGEST, || {
            format!("job {} was given back {:.1?} after its worker was killed", again.job, again.given_back)
        });
    }
    finding
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_given_back_after_ten_leases_is_late() {
        let after = |given_back: Duration| Again { job: 1, given_back, begun: given_back };
        let finding = judge(&[after(Duration::ZERO), after(Again::LONGEST), after(Again::LONGEST + Duration::from_millis(1))]);
        assert_eq!((finding.looked_at, finding.violations.len()), (3, 1));
    }
}
