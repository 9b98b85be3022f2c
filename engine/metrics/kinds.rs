//! How long jobs of each kind wait until they start, and how long they run, in this process.

use std::{
    collections::BTreeMap,
    sync::{LazyLock, Mutex},
    time::Duration,
};

use super::{head, line};

/// Upper bounds in seconds: from a claim at once to a job of an hour.
const BOUNDS: [f64; 14] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];
/// Kinds are few; names that producers invent are not.
const KINDS_AT_MOST: usize = 500;

static KINDS: LazyLock<Mutex<BTreeMap<String, Timings>>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Timings {
    start: Histogram,
    run: Histogram,
}

#[derive(Default)]
struct Histogram {
    buckets: [u64; BOUNDS.len() + 1],
    sum: f64,
}

impl Histogram {
    fn add(&mut self, seconds: f64) {
        self.buckets[BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len())] += 1;
        self.sum += seconds;
    }

    fn write(&self, out: &mut String, name: &str, kind: &str) {
        let mut sum = 0;
        for (bound, count) in BOUNDS.iter().map(ToString::to_string).chain(["+Inf".into()]).zip(&self.buckets) {
            sum += count;
            line(out, &format!("{name}_bucket"), &[("kind", kind), ("le", &bound)], sum as f64);
        }
        line(out, &format!("{name}_sum"), &[("kind", kind)], self.sum);
        line(out, &format!("{name}_count"), &[("kind", kind)], sum as f64);
    }
}

fn of(kind: &str, note: impl FnOnce(&mut Timings)) {
    let mut kinds = KINDS.lock().expect("no holder of this lock panics");
    if let Some(timings) = kinds.get_mut(kind) {
        note(timings);
    } else if kinds.len() < KINDS_AT_MOST {
        note(kinds.entry(kind.to_string()).or_default());
    }
}

/// The first attempt of a job was claimed so long after its enqueue.
pub(super) fn started(kind: &str, seconds: f64) {
    of(kind, |timings| timings.start.add(seconds));
}

/// An attempt ran so long, however it ended.
pub(super) fn ran(kind: &str, time: Duration) {
    of(kind, |timings| timings.run.add(time.as_secs_f64()));
}

pub(super) fn render(out: &mut String) {
    let kinds = KINDS.lock().expect("no holder of this lock panics");
    head(out, "rawops_job_start_seconds", "histogram", "Time from enqueue to claim of first attempts, by kind.");
    for (kind, timings) in kinds.iter() {
        timings.start.write(out, "rawops_job_start_seconds", kind);
    }
    head(out, "rawops_job_run_seconds", "histogram", "How long attempts ran, by kind.");
    for (kind, timings) in kinds.iter() {
        timings.run.write(out, "rawops_job_run_seconds", kind);
    }
}
