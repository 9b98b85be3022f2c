//! What is aimed at, as ratios within one run.

use crate::{
    figures::{Figures, RAW, RAWOPS},
    workloads::goals as of,
};

/// One aim, and how far it is reached.
pub struct Target {
    /// What is compared.
    pub name: String,
    /// The value that was measured.
    pub value: f64,
    /// What is aimed at.
    pub bound: f64,
    /// Whether the value is to be at least the bound, and not at most.
    pub at_least: bool,
}

impl Target {
    /// Whether it is reached.
    pub fn is_met(&self) -> bool {
        if self.at_least { self.value >= self.bound } else { self.value <= self.bound }
    }
}

/// Every target whose figures were measured.
pub fn judged(figures: &Figures) -> Vec<Target> {
    let mut targets = Vec::new();
    let mut add = |name: &str, value: Option<f64>, bound: f64, at_least: bool| {
        targets.extend(value.map(|value| Target { name: name.into(), value, bound, at_least }));
    };
    let own = |name: &'static str, other: &'static str| figures.ratio((name, RAWOPS), (other, RAWOPS));
    let beside_raw = |name: &'static str| figures.ratio((name, RAWOPS), (name, RAW));
    let beside_peer = |name: &str| Some(figures.median(name, RAWOPS)? / figures.best_peer(name)?.1);
    add("drain beside raw SQL of equal batch and clients", beside_raw(of::DRAIN), 0.6, true);
    add("PostgreSQL's processor time a job beside raw SQL", beside_raw(of::DRAIN_CPU), 1.15, false);
    add("drain beside the best peer", beside_peer(of::DRAIN), 3.0, true);
    add("bulk enqueue by COPY beside COPY into the same tables", beside_raw(of::COPY), 0.8, true);
    add("idle pickup p50 (ms)", figures.median(of::PICKUP_P50, RAWOPS), 2.0, false);
    add("idle pickup p99 (ms)", figures.median(of::PICKUP_P99, RAWOPS), 8.0, false);
    add("idle pickup p99 by polling alone (ms)", figures.median(of::POLLED_P99, RAWOPS), 30.0, false);
    add("idle pickup p50 beside the best peer", beside_peer(of::PICKUP_P50), 1.0 / 3.0, false);
    add("a transaction held open: last third beside unpinned", own(of::PINNED, of::FREE), 0.9, true);
    add("a transaction held open: slowest 30 s beside unpinned", own(of::PINNED_LEAST, of::FREE), 0.9, true);
    add("10 M scheduled beside none", own(of::MANY_SCHEDULED, of::NONE_SCHEDULED), 0.95, true);
    add("4 processes beside 1", own(of::DRAIN_FOUR, of::DRAIN), 1.0, true);
    add("limits of 1,000 keys beside none", own(of::KEYED, of::PLAIN), 0.9, true);
    add("limit of a kind beside none", own(of::OF_KIND, of::PLAIN), 0.9, true);
    add("workflow steps beside the best peer", beside_peer(of::STEPS), 3.0, true);
    add("webhooks acknowledged a second", figures.median(of::WEBHOOKS, RAWOPS), 5000.0, true);
    add("webhook answered p99 (ms)", figures.median(of::WEBHOOKS_P99, RAWOPS), 250.0, false);
    add("allocation of 1,000 orders of 3 lines (ms)", figures.median(of::ALLOCATION, RAWOPS), 2000.0, false);
    add("memory of a worker with 200 no-op jobs at once (MB)", figures.median(of::MEMORY, RAWOPS), 60.0, false);
    targets
}
