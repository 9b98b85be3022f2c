//! N10: secrets and what belongs to people are nowhere but where they belong.

use super::Finding;
use crate::{canaries::Search, facts::Facts};

pub fn check(facts: &Facts) -> Finding {
    judge(&facts.observed.canaries)
}

fn judge(search: &Search) -> Finding {
    let mut finding = Finding::new("N10", "no secret and no personal data is in logs, figures, errors, notes or alerts");
    finding.holds(search.control, || "the log that has a canary on purpose was searched, and it was not found".into());
    finding.holds(search.planted > 0, || "no canary is where it belongs: there is nothing to be found".into());
    finding.holds(search.pages > 0, || "no page of figures was searched".into());
    finding.holds(search.server_logs > 0, || "no log of the server was searched".into());
    finding.looked_at += search.places;
    finding.violations.extend(search.hits.iter().cloned());
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_that_has_not_looked_everywhere_proves_nothing() {
        let search = Search { places: 9, pages: 2, server_logs: 1, planted: 5, control: true, hits: Vec::new() };
        assert!(judge(&search).violations.is_empty());
        for less in [
            Search { pages: 0, ..search.clone() },
            Search { server_logs: 0, ..search.clone() },
            Search { planted: 0, ..search.clone() },
            Search { control: false, ..search.clone() },
            Search { hits: vec!["worker-0.log".into()], ..search.clone() },
        ] {
            assert_eq!(judge(&less).violations.len(), 1, "{less:?}");
        }
    }
}
