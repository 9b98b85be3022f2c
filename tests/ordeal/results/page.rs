//! The page of results. Nothing in it is written by hand, and everything is in the journal.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use super::{
    JOURNAL, Ran, Results, Tried,
    figures::{Figures, quantile},
    seeds,
};
use crate::faults::Class;

/// The page of a journal.
pub fn page(results: &Results) -> String {
    let mut page = format!(
        "# Results of the ordeal\n\nWritten by the program from `{JOURNAL}`, one line a run; do not edit. How it works: `lib.rs` beside this page.\n"
    );
    let figures = Figures::of(results.runs());
    page += &runs(results, &figures);
    page += &recoveries(results, &figures);
    page += &seeds::table(results);
    page += &invariants(&figures);
    page += &inputs(results);
    page += &builds(results);
    if figures.runs > 0 {
        let _ = write!(page, "\nWhat the runs touched:\n\n```\n{}```\n", figures.coverage.table());
    }
    page
}

/// The figures of all runs.
fn runs(results: &Results, figures: &Figures) -> String {
    let mut rows = Vec::new();
    let mut put = |name: &str, value: String| rows.push(format!("| {name} | {value} |\n"));
    let distinct: BTreeSet<u64> = results.runs().iter().filter(|ran| ran.has_drained()).map(|ran| ran.seed).collect();
    let seconds = |at: fn(f64, f64) -> f64| results.runs().iter().map(|ran| ran.setting.seconds).reduce(at).unwrap_or_default();
    let (least, most) = (seconds(f64::min), seconds(f64::max));
    put("runs", figures.runs.to_string());
    put("— seeds", format!("{}{}", distinct.len(), spans(&distinct)));
    put("— seconds of load and faults in each", if least < most { format!("{least} to {most}") } else { most.to_string() });
    put("— through a pooler", results.runs().iter().filter(|ran| ran.setting.pooled && ran.broke.is_none()).count().to_string());
    put("— with workers in network namespaces", results.runs().iter().filter(|ran| ran.has_namespaces()).count().to_string());
    put("runs that failed", figures.failed.to_string());
    put("— in which something did not end, whose jobs and faults are not counted here", figures.undrained.to_string());
    put("— seeds that failed when they were run last", results.failing().len().to_string());
    put("jobs ended", figures.jobs.to_string());
    put("attempts", figures.attempts.to_string());
    put("webhooks accepted", figures.webhooks.to_string());
    put("faults", figures.faults.values().sum::<usize>().to_string());
    for class in Class::ALL {
        put(&format!("— {class}"), figures.faults.get(class.as_str()).copied().unwrap_or(0).to_string());
    }
    put("zombies: processes that went on after their lease, stopped or cut off", figures.zombies.to_string());
    put("— late writes that they tried, all refused", figures.refused.to_string());
    put("effects outside", figures.outside.to_string());
    let per_million = figures.repeated as f64 * 1e6 / figures.outside.max(1) as f64;
    put("— done again, each after an attempt that a fault made void, a million", format!("{per_million:.0}"));
    put("time under load", hours(figures.seconds));
    put("time of the runs, with heal, drain and checks", hours(figures.took_s as f64));
    format!("\n| figure | value |\n|---|---:|\n{}", rows.concat())
}

/// How long jobs waited whose worker was taken from them: in all runs, in those of the newest build, and in those where nothing else
/// befell anybody.
fn recoveries(results: &Results, figures: &Figures) -> String {
    let Some(newest) = results.runs().last().map(|ran| &ran.origin.commit) else { return String::new() };
    let of_newest = Figures::of(results.runs().iter().filter(|ran| ran.origin.commit == *newest));
    let mut table = String::from(
        "\n| how long it takes from where a worker was | in the runs of | jobs | p50 | p90 | p99 | p99.9 | max |\n|---|---|---:|---:|---:|---:|---:|---:|\n",
    );
    let of_kills: Vec<(String, Figures)> = of_kills(results.runs()).collect();
    let groups = [("all builds", figures), (newest.as_str(), &of_newest)];
    for (builds, figures) in groups.into_iter().chain(of_kills.iter().map(|(builds, figures)| (builds.as_str(), figures))) {
        let spans = [
            ("killed with -9 to where its job is given back", &figures.rescues_ms),
            ("killed with -9 to the next attempt of its job", &figures.recoveries_ms),
            ("cut off from the server past its lease to the next attempt", &figures.regained_ms),
        ];
        for (what, times) in spans {
            let _ = write!(table, "| {what} | {builds} | {} |", times.len());
            for share in [0.5, 0.9, 0.99, 0.999, 1.0] {
                let _ = write!(table, " {} |", quantile(times, share).map_or_else(|| "none".into(), |time| format!("{time:.1} s")));
            }
            table.push('\n');
        }
    }
    table
}

/// The runs in which workers were killed and nothing else befell anybody, by how long it was from one kill to the next, and by how much
/// there was to do: where that is more than workers can, a job waits for others when it is given back.
fn of_kills(runs: &[Ran]) -> impl Iterator<Item = (String, Figures)> {
    let mut by_setting: BTreeMap<(u64, u64), Vec<&Ran>> = BTreeMap::new();
    for ran in runs.iter().filter(|ran| ran.setting.classes == [Class::Kill.as_str()]) {
        by_setting.entry((ran.setting.pause_ms, ran.setting.rate.round() as u64)).or_default().push(ran);
    }
    by_setting.into_iter().map(|((pause_ms, rate), runs)| {
        let newest = runs.last().map_or("", |ran| &ran.origin.commit).to_owned();
        // Two hands strike.
        let each = pause_ms as f64 / 2000.0;
        (
            format!("{newest}, kills alone, one each {each} s, {rate} programs a second"),
            Figures::of(runs.into_iter().filter(|ran| ran.origin.commit == newest)),
        )
    })
}

fn hours(seconds: f64) -> String {
    format!("{:.1} h", seconds / 3600.0)
}

/// Seeds in spans: how one would ask for them.
fn spans(seeds: &BTreeSet<u64>) -> String {
    let mut spans: Vec<(u64, u64)> = Vec::new();
    for seed in seeds {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == *seed => *last = *seed,
            _ => spans.push((*seed, *seed)),
        }
    }
    let words: Vec<String> =
        spans.iter().map(|(first, last)| if first == last { first.to_string() } else { format!("{first}–{last}") }).collect();
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
}

fn invariants(figures: &Figures) -> String {
    if figures.findings.is_empty() {
        return String::new();
    }
    let mut table = String::from("\n| invariant | what must hold | looked at | violations |\n|---|---|---:|---:|\n");
    for (id, judged) in &figures.findings {
        let _ = writeln!(table, "| {id} | {} | {} | {} |", judged.rule, judged.looked_at, judged.violations);
    }
    table
}

/// What was tried of bad inputs, one line a kind.
fn inputs(results: &Results) -> String {
    if results.tried().is_empty() {
        return String::new();
    }
    let mut table =
        String::from("\n| bad inputs | seeds | tried | taken as they are | refused | judged wrongly |\n|---|---:|---:|---:|---:|---|\n");
    let mut kinds: Vec<&str> = results.tried().iter().map(|tried| tried.inputs.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let of: Vec<_> = results.tried().iter().filter(|tried| tried.inputs == kind).collect();
        let once = once(&of);
        let sum = |count: fn(&Tried) -> u64| once.iter().map(|tried| count(tried)).sum::<u64>();
        let seeds: BTreeSet<u64> = of.iter().map(|tried| tried.seed).collect();
        let wrong: Vec<String> = of
            .iter()
            .filter_map(|tried| {
                Some(format!("seed {} on {}: {:.200}", tried.seed, tried.origin.source(), first_line(tried.wrong.as_ref()?)))
            })
            .collect();
        let wrong = if wrong.is_empty() { "0".to_owned() } else { wrong.join("; ").replace('|', "/") };
        let (tried, taken, refused) = (sum(|tried| tried.tried), sum(|tried| tried.taken), sum(|tried| tried.refused));
        let _ = writeln!(table, "| {kind} | {} | {tried} | {taken} | {refused} | {wrong} |", seeds.len());
    }
    table
}

/// Of the parts that one build tried of a seed, the longest: all others are its beginning.
fn once<'a>(parts: &[&'a Tried]) -> Vec<&'a Tried> {
    let mut longest: BTreeMap<(u64, &str, bool), &Tried> = BTreeMap::new();
    for part in parts {
        let known = longest.entry((part.seed, &part.origin.commit, part.origin.optimised)).or_insert(part);
        if part.tried > known.tried {
            *known = part;
        }
    }
    longest.into_values().collect()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// What came of one build on one machine.
#[derive(Default)]
struct Build {
    days: BTreeSet<String>,
    runs: usize,
    failed: usize,
    tried: usize,
}

/// The builds and machines that all this comes from.
fn builds(results: &Results) -> String {
    let mut builds: BTreeMap<(&str, &str, &str), Build> = BTreeMap::new();
    let runs = results.runs().iter().map(|ran| (&ran.origin, [1, usize::from(!ran.is_clean()), 0]));
    for (origin, [runs, failed, tried]) in runs.chain(results.tried().iter().map(|tried| (&tried.origin, [0, 0, 1]))) {
        let build = builds.entry((&origin.commit, origin.build(), &origin.machine)).or_default();
        build.days.insert(origin.at.format("%Y-%m-%d").to_string());
        build.runs += runs;
        build.failed += failed;
        build.tried += tried;
    }
    if builds.is_empty() {
        return String::new();
    }
    let mut rows: Vec<_> = builds.into_iter().collect();
    rows.sort_by(|(_, one), (_, other)| one.days.cmp(&other.days));
    let mut table = String::from(
        "\nBuilds; `+` is one whose sources differ from the commit. One without optimisation does not know its own: it says which one was there when its series began.\n\n| commit | built | machine | days | runs | failed | series of bad inputs |\n|---|---|---|---|---:|---:|---:|\n",
    );
    for ((commit, built, machine), Build { days, runs, failed, tried }) in rows {
        let days = days.into_iter().collect::<Vec<_>>().join(", ");
        let _ = writeln!(table, "| {commit} | {built} | {machine} | {days} | {runs} | {failed} | {tried} |");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Ran,
            lines::tests::{ran, results},
        },
        *,
    };

    fn tried(commit: &str, seed: u64, tried: u64, wrong: Option<&str>) -> Tried {
        let origin = ran(1, commit, 0).origin;
        Tried { origin, inputs: "rows".into(), seed, tried, taken: tried * 6 / 10, refused: tried * 4 / 10, wrong: wrong.map(Into::into) }
    }

    #[test]
    fn a_page_adds_up_what_all_runs_came_to() {
        let mut partitioned = Ran { regained_ms: vec![2500, 4000], ..ran(3, "b", 0) };
        partitioned.setting.classes = vec!["kill".into(), "partition".into()];
        let mut killed = ran(1, "b", 0);
        killed.setting.classes = vec!["kill".into()];
        let mut of_before = killed.clone();
        of_before.origin.commit = "a".into();
        let mut rarely = of_before.clone();
        rarely.setting.pause_ms = 6000;
        let mut stuck = ran(9, "a", 0);
        stuck.findings = [("I12".to_owned(), crate::results::Judged { looked_at: 10, violations: 1, ..Default::default() })].into();
        let page = page(&results(vec![stuck, ran(1, "a", 1), of_before, rarely, ran(2, "b", 0), partitioned, killed], Vec::new()));
        for row in [
            "| runs | 7 |",
            "| — seeds | 3 (1–3) |",
            "| runs that failed | 2 |",
            "| — in which something did not end, whose jobs and faults are not counted here | 1 |",
            "| — seeds that failed when they were run last | 1 |",
            "| jobs ended | 6000 |",
            "| faults | 18 |",
            "| — kill | 18 |",
            "| — done again, each after an attempt that a fault made void, a million | 2000 |",
            "| killed with -9 to the next attempt of its job | all builds | 60 |",
            "| killed with -9 to the next attempt of its job | b | 30 | 0.9 s | 2.1 s | 3.0 s | 3.0 s | 3.0 s |",
            "| killed with -9 to the next attempt of its job | b, kills alone, one each 0.45 s, 60 programs a second | 10 |",
            "| killed with -9 to the next attempt of its job | a, kills alone, one each 3 s, 60 programs a second | 10 |",
            "| — with workers in network namespaces | 1 |",
            "| cut off from the server past its lease to the next attempt | b | 2 | 2.5 s | 4.0 s |",
            "| I1 | no acknowledged job is lost | 60 | 1 |",
            "| a | release | 2 cores | 1970-01-01 | 4 | 2 | 0 |",
            "| b | release | 2 cores | 1970-01-01 | 3 | 0 | 0 |",
        ] {
            assert!(page.contains(row), "{row} is not in\n{page}");
        }
    }

    #[test]
    fn a_page_of_bad_inputs_says_what_was_judged_wrongly() {
        let page = page(&results(Vec::new(), vec![tried("c", 1, 100, None), tried("c", 2, 100, Some("a row | was lost\nafter much"))]));
        assert!(page.contains("| rows | 2 | 200 | 120 | 80 | seed 2 on c: a row / was lost |"), "{page}");
        assert!(page.contains("| c | release | 2 cores | 1970-01-01 | 0 | 0 | 2 |"), "{page}");
    }

    #[test]
    fn the_same_inputs_are_counted_once_a_build() {
        let tries = vec![
            tried("c", 1, 50, None),
            tried("c", 1, 100, None),
            tried("c", 1, 20, Some("a row was lost")),
            tried("d", 1, 10, None),
            tried("c", 2, 10, None),
        ];
        let page = page(&results(Vec::new(), tries));
        assert!(page.contains("| rows | 2 | 120 | 72 | 48 | seed 1 on c: a row was lost |"), "{page}");
    }
}
