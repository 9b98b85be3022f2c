//! The published figures of a series of runs. Nothing in them is written by hand.

use std::{collections::BTreeMap, fmt::Write, fs, io, path::Path, time::Duration};

use crate::{coverage::Coverage, faults::Class, report::Report};

/// What a series of runs came to.
#[derive(Default)]
pub struct Results {
    seeds: Vec<u64>,
    failed: Vec<u64>,
    jobs: usize,
    attempts: usize,
    webhooks: usize,
    faults: BTreeMap<String, usize>,
    zombies: usize,
    refused: usize,
    repeated: usize,
    outside: usize,
    recoveries: Vec<Duration>,
    violations: BTreeMap<&'static str, (&'static str, usize, usize)>,
    coverage: Coverage,
    took: Duration,
}

impl Results {
    /// Adds a run.
    pub fn add(&mut self, report: &Report) {
        self.seeds.push(report.seed);
        if !report.is_clean() {
            self.failed.push(report.seed);
        }
        self.jobs += report.jobs;
        self.attempts += report.attempts;
        self.webhooks += report.webhooks;
        for (class, times) in &report.faults {
            *self.faults.entry(class.clone()).or_default() += times;
        }
        self.zombies += report.zombies;
        self.refused += report.refused;
        self.repeated += report.repeated;
        self.outside += report.outside;
        self.recoveries.extend(&report.recoveries);
        self.recoveries.sort_unstable();
        for finding in &report.findings {
            let entry = self.violations.entry(finding.id).or_insert((finding.rule, 0, 0));
            entry.1 += finding.looked_at;
            entry.2 += finding.violations.len();
        }
        self.coverage.add(&report.coverage);
        self.took += report.took;
    }

    /// Whether no run failed.
    pub fn is_clean(&self) -> bool {
        self.failed.is_empty()
    }

    /// What the runs touched.
    pub const fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Writes the page of results.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, page: &Path, command: &str) -> io::Result<()> {
        fs::write(page, self.page(command))
    }

    fn page(&self, command: &str) -> String {
        let mut page =
            String::from("# Results of the ordeal\n\nWritten by the program; do not edit. How it works: `lib.rs` beside this page.\n\n");
        let faults: usize = self.faults.values().sum();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let build = if cfg!(debug_assertions) { "built without optimisation" } else { "built for release" };
        let put = |page: &mut String, name: &str, value: String| writeln!(page, "| {name} | {value} |").expect("a string takes text");
        let _ = writeln!(
            page,
            "`{command}`, {build}, {} on {cores} cores.\n\n| figure | value |\n|---|---:|",
            chrono::Utc::now().format("%Y-%m-%d")
        );
        put(&mut page, "seeds", self.seeds.len().to_string());
        put(&mut page, "seeds that failed", if self.failed.is_empty() { "0".into() } else { format!("{:?}", self.failed) });
        put(&mut page, "jobs ended", self.jobs.to_string());
        put(&mut page, "attempts", self.attempts.to_string());
        put(&mut page, "webhooks accepted", self.webhooks.to_string());
        put(&mut page, "faults", faults.to_string());
        for class in Class::ALL {
            put(&mut page, &format!("— {class}"), self.faults.get(class.as_str()).copied().unwrap_or(0).to_string());
        }
        put(&mut page, "zombies: processes that went on after their lease", self.zombies.to_string());
        put(&mut page, "— late writes that they tried, all refused", self.refused.to_string());
        let per_million = self.repeated as f64 * 1e6 / self.outside.max(1) as f64;
        put(&mut page, "effects outside done again, inside fault windows, a million", format!("{per_million:.0}"));
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            let place = ((self.recoveries.len() as f64 * share).ceil() as usize).clamp(1, self.recoveries.len().max(1)) - 1;
            let time = self.recoveries.get(place).map_or_else(|| "none".into(), |time| format!("{:.1} s", time.as_secs_f64()));
            put(&mut page, &format!("from kill -9 of a worker to its job's next attempt, {name} of {}", self.recoveries.len()), time);
        }
        put(&mut page, "time", format!("{:.1} h", self.took.as_secs_f64() / 3600.0));
        page += "\n| invariant | what must hold | looked at | violations |\n|---|---|---:|---:|\n";
        for (id, (rule, looked_at, violations)) in &self.violations {
            let _ = writeln!(page, "| {id} | {rule} | {looked_at} | {violations} |");
        }
        let _ = write!(page, "\nWhat the runs touched:\n\n```\n{}```\n", self.coverage.table());
        page
    }
}
