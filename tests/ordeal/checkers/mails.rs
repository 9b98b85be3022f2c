//! A mail goes out at most once, and in the end of each it is known what became of it, or known that nobody can know.

use std::collections::{HashMap, HashSet};

use super::Finding;
use crate::facts::Facts;

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("mails", "a mail goes out at most once, and what became of it is written down");
    let mut out: HashMap<&str, usize> = HashMap::new();
    for mark in &facts.mails_out {
        *out.entry(mark).or_default() += 1;
    }
    let states: HashMap<String, &str> = facts.outbox.iter().map(|row| (row.id.to_string(), row.state.as_str())).collect();
    let mut asked = HashSet::new();
    for mail in &facts.mails {
        let id = mail.id.to_string();
        let (times, state) = (out.get(id.as_str()).copied().unwrap_or(0), states.get(&id).copied());
        finding.holds(times <= 1, || format!("mail {id} went out {times} times"));
        let fits = match state {
            Some("sent") => times == 1,
            Some("unknown" | "failed") => true,
            _ => false,
        };
        finding.holds(fits, || format!("mail {id} went out {times} times, and its row says {state:?}"));
        asked.insert(id);
    }
    let odd = out.keys().find(|mark| !asked.contains(**mark));
    finding.holds(odd.is_none(), || format!("mail {odd:?} went out, and nobody asked for it"));
    finding
}
