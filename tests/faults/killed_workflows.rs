//! Workflows under workers that die every 200 ms, at every statement of theirs: the end is what the model says.
//!
//! `RAWOPS_TEST_WORKFLOWS` sets how many there are; with 1000 and more every place kills at least ten times, and as many more
//! workflows come as that takes.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use engine::{Client, JobId, NewJob, failpoint::Side};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{
    Database,
    flows::{self, Act, Flow},
    ledger,
    process::{WorkerOptions, WorkerProcess},
};

const CHILDREN: usize = 20;
const PERIOD: Duration = Duration::from_millis(200);
const WORKERS: usize = 4;
/// With fewer open places than this, more workflows begin while a place has not killed often enough.
const ENOUGH: i64 = 60;
/// How many begin then.
const AT_A_TIME: usize = 5;
/// Workers that have a place of their own to die at; the others are killed by us.
const FATED: usize = 3;

/// The statements of workflows, and those that end and begin their attempts.
const PLACES: [&str; 23] = [
    "aftermath/settle",
    "attempt/complete",
    "attempt/settle",
    "child/add",
    "claim/assert",
    "claim/assert_lock",
    "claim/take",
    "compensation/add",
    "compensation/done",
    "event/emit",
    "event/next",
    "event_wait/put",
    "event_wait/remove",
    "job/enqueue_many",
    "parked/wake_due",
    "parked/wake_parents",
    "run/commit",
    "step/continue",
    "step/keep",
    "step/load",
    "step/receive",
    "step/sleep",
    "topic/touch",
];

fn workflows() -> usize {
    std::env::var("RAWOPS_TEST_WORKFLOWS").ok().and_then(|text| text.parse().ok()).unwrap_or(30)
}

fn step(name: impl Into<String>) -> Act {
    Act::Step(name.into())
}

fn dies(n: usize) -> bool {
    n.is_multiple_of(5)
}

/// Ten steps, a sleep, an event received and one emitted, twenty children, a compensation; each fifth begins anew towards the end,
/// and dies.
fn program(n: usize) -> Flow {
    let mut acts = vec![Act::Undoable("pay".into())];
    acts.extend((1..=4).map(|k| step(format!("s{k}"))));
    acts.push(Act::Sleep(100));
    acts.extend((5..=6).map(|k| step(format!("s{k}"))));
    acts.push(Act::Wait("go".into(), n.to_string(), None));
    acts.push(Act::Children(vec![Flow { acts: vec![step("child")] }; CHILDREN]));
    acts.push(Act::Emit("gone".into(), n.to_string()));
    let mut last: Vec<Act> = (7..=9).map(|k| step(format!("s{k}"))).collect();
    if dies(n) {
        last.push(Act::Die);
        acts.push(Act::Continue(last));
    } else {
        acts.extend(last);
    }
    Flow { acts }
}

/// Where workers died, and how often.
type Deaths = BTreeMap<(String, &'static str), u32>;

/// Workers of which one dies each period, by our hand or at a place of its own.
struct Fleet {
    options: WorkerOptions,
    workers: Vec<(WorkerProcess, Option<(String, Side)>)>,
    deaths: Deaths,
    /// How often a worker was to die somewhere and was killed before.
    spared: Deaths,
    kills: u32,
    random: StdRng,
}

impl Fleet {
    fn new(db: &Database) -> Self {
        let options = WorkerOptions::new(db.url()).concurrency(8).lease(Duration::from_secs(1));
        let mut fleet =
            Self { options, workers: Vec::new(), deaths: Deaths::new(), spared: Deaths::new(), kills: 0, random: StdRng::seed_from_u64(4) };
        for place in PLACES {
            for side in ["Before", "After"] {
                fleet.deaths.insert((place.into(), side), 0);
            }
        }
        fleet.fill();
        fleet
    }

    fn fewest_deaths(&self) -> u32 {
        self.deaths.values().copied().min().unwrap_or(0)
    }

    fn fill(&mut self) {
        while self.workers.len() < WORKERS {
            if self.workers.iter().filter(|(_, goal)| goal.is_some()).count() < FATED {
                self.start_fated();
            } else {
                self.workers.push((self.options.start(), None));
            }
        }
    }

    /// Starts a worker that is to die at the place where the fewest have died so far.
    fn start_fated(&mut self) {
        let fewest = self.deaths.iter().map(|((place, side), deaths)| {
            let on_their_way =
                self.workers.iter().filter(|(_, goal)| goal.as_ref().is_some_and(|(at, on)| at == place && name(*on) == *side));
            let in_vain = self.spared.get(&(place.clone(), *side)).copied().unwrap_or(0);
            (*deaths + in_vain + on_their_way.count() as u32, place.clone(), *side)
        });
        let (_, place, side) = fewest.min().expect("there are places");
        let side = if side == "Before" { Side::Before } else { Side::After };
        let often = matches!(place.as_str(), "parked/wake_due" | "parked/wake_parents" | "aftermath/settle" | "claim/take");
        let count = if often { self.random.random_range(5..40) } else { self.random.random_range(1..4) };
        let process = self.options.clone().die_at(&place, side, count).start();
        self.workers.push((process, Some((place, side))));
    }

    /// One period: who died is counted and replaced. If nobody did and work `got_on`, the one longest at work is killed.
    fn period(&mut self, got_on: bool) {
        let mut fallen = 0;
        let mut n = 0;
        while n < self.workers.len() {
            if !self.workers[n].0.has_ended() {
                n += 1;
                continue;
            }
            let (_, goal) = self.workers.remove(n);
            let (place, side) = goal.expect("only who has a place dies of itself");
            *self.deaths.entry((place, name(side))).or_default() += 1;
            fallen += 1;
        }
        if fallen == 0 && got_on {
            // Whoever has not come to its place yet is spared for a while.
            let spare = self.random.random_range(0..8) > 0;
            let fated = |(_, goal): &(WorkerProcess, Option<(String, Side)>)| goal.is_some();
            if let Some(place) = self.workers.iter().position(|worker| !(spare && fated(worker))) {
                let (process, goal) = self.workers.remove(place);
                process.kill();
                if let Some((place, side)) = goal {
                    *self.spared.entry((place, name(side))).or_default() += 1;
                }
                self.kills += 1;
            }
        }
        self.fill();
    }
}

const fn name(side: Side) -> &'static str {
    match side {
        Side::Before => "Before",
        Side::After => "After",
    }
}

/// Starts workflows of these numbers.
async fn begin(pool: &PgPool, numbers: std::ops::Range<usize>) -> Vec<JobId> {
    let jobs: Vec<NewJob> = numbers.map(|n| NewJob::of(&program(n)).expect("arguments serialise")).collect();
    Client::new(pool.clone()).enqueue_many(&jobs).await.expect("enqueued").into_iter().flatten().collect()
}

async fn events(pool: &PgPool, from: usize, to: usize) {
    for n in from..to {
        Client::new(pool.clone()).emit("go", &n.to_string(), &n, Some("once")).await.expect("emitted");
    }
}

/// Grows whenever work gets on, and not when workers die.
async fn work_done(pool: &PgPool) -> i64 {
    ledger::count(pool, "select (select count(*) from engine.step) + (select count(*) from engine.attempt where outcome <> 'lost')").await
}

async fn open(pool: &PgPool) -> i64 {
    ledger::count(
        pool,
        "select (select count(*) from engine.place) + (select count(*) from engine.aftermath) + (select count(*) from engine.claim)",
    )
    .await
}

/// What is left of one workflow: its outcome, its output and what its steps wrote, with those of its children.
async fn check(pool: &PgPool, n: usize, id: JobId) {
    let (state, output): (String, Option<Value>) =
        sqlx::query_as("select state, output from engine.job_state where id = $1").bind(id).fetch_one(pool).await.expect("it is there");
    let mut written: Vec<String> = flows::trace(pool, id).await.into_iter().map(|(name, _)| name).collect();
    written.sort();
    assert_eq!(written, (1..=9).map(|k| format!("s{k}")).collect::<Vec<_>>(), "workflow {n}: each step once");
    let of_jobs: Vec<(String, i64)> = sqlx::query_as(
        "select t.name, count(*) from test_trace t join engine.job j on j.id = t.job_id
         where j.parent_id = $1 or j.parent_id in (select u.id from engine.job u where u.parent_id = $1)
         group by t.name order by t.name",
    )
    .bind(id)
    .fetch_all(pool)
    .await
    .expect("the trace can be read");
    let children = ("child".to_string(), CHILDREN as i64);
    if dies(n) {
        assert_eq!(state, "dead", "workflow {n}");
        assert_eq!(of_jobs, [children, ("undo pay".into(), 1)], "workflow {n}: each child once, and undone once");
    } else {
        assert_eq!(state, "completed", "workflow {n}");
        assert_eq!(of_jobs, [children], "workflow {n}: each child once");
        let returned = output.expect("an output");
        assert_eq!(returned[8], json!(n), "workflow {n}: its own event");
        let ended = returned[9].as_array().expect("a list");
        assert!(ended.len() == CHILDREN && ended.iter().all(|ending| ending["completed"].is_array()), "workflow {n}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workflows_come_to_the_end_of_the_model_however_often_their_workers_die() {
    let db = Database::new().await;
    let pool = db.pool();
    flows::make_trace_table(pool).await;
    let total = workflows();
    let goal = if total >= 1000 { 10 } else { 0 };
    let begun = Instant::now();
    events(pool, 0, total / 2).await;
    let mut ids = begin(pool, 0..total).await;
    let mut fleet = Fleet::new(&db);
    let (mut emitted, mut done) = (total / 2, 0);
    let limit = Duration::from_mins(10) + Duration::from_secs(2) * total as u32;
    loop {
        let left = open(pool).await;
        if fleet.fewest_deaths() < goal && left < ENOUGH {
            let more = begin(pool, ids.len()..ids.len() + AT_A_TIME).await;
            ids.extend(more);
        } else if left == 0 {
            break;
        }
        assert!(begun.elapsed() < limit, "after {:?} {left} places are taken: {:?}", begun.elapsed(), fleet.deaths);
        let until = (emitted + total.div_ceil(400)).min(ids.len());
        events(pool, emitted, until).await;
        emitted = until;
        // On a machine so busy that nothing gets on between two deaths, every job would be a suspect.
        let before = std::mem::replace(&mut done, work_done(pool).await);
        fleet.period(done > before);
        tokio::time::sleep(PERIOD).await;
    }
    let (deaths, kills) = (fleet.deaths.clone(), fleet.kills);
    drop(fleet);
    let total = ids.len();
    for (n, id) in ids.into_iter().enumerate() {
        check(pool, n, id).await;
    }
    ledger::check(pool).await;
    let at_places: u32 = deaths.values().sum();
    let outcomes = ledger::outcomes(pool).await;
    println!(
        "{total} workflows in {:?}: {at_places} deaths at {} places, {kills} kills; attempts {outcomes:?}",
        begun.elapsed(),
        deaths.len()
    );
    println!("deaths: {deaths:?}");
    assert!(deaths.values().all(|deaths| *deaths >= goal), "each place kills {goal} times or more: {deaths:?}");
    assert!(at_places > 0 && outcomes.contains_key("lost"), "workers died");
}
