//! N10: secrets and what belongs to people are nowhere but where they belong.

use super::Finding;
use crate::facts::Facts;

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("N10", "no secret and no personal data is in logs, figures, errors, notes or alerts");
    let search = &facts.observed.canaries;
    finding.holds(search.control, || "the log that has a canary on purpose was searched, and it was not found".into());
    finding.holds(search.planted > 0, || "no canary is where it belongs: there is nothing to be found".into());
    finding.looked_at += search.places;
    finding.violations.extend(search.hits.iter().cloned());
    finding
}
