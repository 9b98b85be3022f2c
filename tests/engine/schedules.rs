//! Schedules, driven by given times: leadership, missed occurrences, overlaps, jitter.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Europe::London;
use engine::{
    Job, NewJob,
    schedule::{Config, Counts, Misfire, Next, Overlap, Schedule, Scheduler, edit},
    store::{leader, occurrence},
};

use crate::support::{
    Database, clock,
    kinds::{self, Tick},
    ledger::{count, now},
    run_all,
};

pub(super) const HOURLY: Schedule = Schedule::of::<Tick>("hourly", "17 * * * *", London, "For testing");
const BROKEN: Schedule = Schedule::of::<Tick>("broken", "61 * * * *", London, "For testing");
pub(super) const REFUSED: Schedule = Schedule { name: "refused", job: || Ok(NewJob::of(&Tick {})?.queue("")), ..HOURLY };

pub(super) const LEADS: Counts = Counts { leads: true, fired: 0, known: 0, overlapped: 0, let_go: 0, failed: 0, behind: false };

pub(super) fn scheduler(db: &Database, schedules: &[Schedule]) -> Scheduler {
    Scheduler::new(db.pool().clone(), schedules, Config::default())
}

/// A database whose clock says half past ten.
pub(super) async fn database() -> Database {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    clock::set(db.pool(), half_past(0)).await;
    db
}

/// Half past ten, and so many hours.
pub(super) fn half_past(hours: i64) -> DateTime<Utc> {
    "2026-06-01T10:30:00Z".parse::<DateTime<Utc>>().expect("a moment") + TimeDelta::hours(hours)
}

pub(super) async fn look(scheduler: &mut Scheduler, at: DateTime<Utc>) -> Counts {
    scheduler.run_once(at).await.expect("the database answers")
}

async fn jobs(db: &Database) -> i64 {
    count(db.pool(), "select count(*) from engine.job").await
}

pub(super) async fn end_the_lead(db: &Database) {
    sqlx::query("update engine.leader set until = engine.now()").execute(db.pool()).await.expect("a lead can end");
}

/// The history of a schedule, oldest first: the hour and minute, how, whether it made a job, the note.
async fn history(db: &Database, schedule: &Schedule) -> Vec<(String, String, bool, String)> {
    let mut found = occurrence::list(db.pool(), schedule.name, 100).await.expect("the history can be read");
    found.sort_by_key(|occurrence| occurrence.occurrence);
    let words = |found: occurrence::Occurrence| {
        (found.occurrence.format("%H:%M").to_string(), found.how, found.job_id.is_some(), found.note.unwrap_or_default())
    };
    found.into_iter().map(words).collect()
}

#[tokio::test]
async fn two_schedulers_make_one_job_of_an_occurrence() {
    let db = database().await;
    let (mut first, mut second) = (scheduler(&db, &[HOURLY]), scheduler(&db, &[HOURLY]));
    let at = half_past(1);
    assert_eq!(look(&mut first, at).await, Counts { fired: 1, ..LEADS });
    assert_eq!(look(&mut second, at).await, Counts::default(), "the first one leads");
    assert_eq!(look(&mut first, at + TimeDelta::minutes(20)).await, LEADS, "nothing new");

    run_all(&db, kinds::kinds()).await;
    end_the_lead(&db).await;
    assert_eq!(look(&mut second, at).await.fired, 0, "the successor knows that it was fired");
    assert_eq!(look(&mut second, at + TimeDelta::hours(1)).await, Counts { fired: 1, ..LEADS });
    assert_eq!(look(&mut first, at + TimeDelta::hours(1)).await, Counts::default());
    assert_eq!(jobs(&db).await, 2);
}

#[tokio::test]
async fn an_act_of_an_earlier_term_is_refused() {
    let db = database().await;
    let lead = async |holder| leader::lead(db.pool(), "test", holder, 10_000).await.expect("the database answers");
    let first = lead(1).await.expect("nobody leads yet");
    assert_eq!(lead(2).await, None);
    assert_eq!(lead(1).await.as_ref(), Some(&first), "the same holder keeps its term");
    let mut connection = db.pool().acquire().await.expect("a connection");
    assert!(leader::still_leads(&mut connection, &first).await.expect("the database answers"));
    end_the_lead(&db).await;
    assert!(!leader::still_leads(&mut connection, &first).await.expect("the database answers"));
    let second = lead(2).await.expect("the lead is free");
    assert_eq!(second.term, first.term + 1);
    assert!(!leader::still_leads(&mut connection, &first).await.expect("the database answers"));
}

#[tokio::test]
async fn a_lease_from_before_the_clock_was_set_back_counts_as_over() {
    let db = database().await;
    clock::step(db.pool(), 86_400.0).await;
    let lead = async |holder| leader::lead(db.pool(), "test", holder, 10_000).await.expect("the database answers");
    let first = lead(1).await.expect("nobody leads yet");
    clock::step(db.pool(), -86_400.0).await;
    let second = lead(2).await.expect("nobody waits for a day");
    assert_eq!(second.term, first.term + 1);
    assert_eq!(lead(1).await, None);
}

#[tokio::test]
async fn of_missed_occurrences_the_latest_is_made_good() {
    let db = database().await;
    let mut scheduler = scheduler(&db, &[HOURLY]);
    assert_eq!(look(&mut scheduler, now(db.pool()).await).await, LEADS, "what was due before it was known is not missed");
    let at = half_past(30);
    assert_eq!(look(&mut scheduler, at).await, Counts { fired: 1, ..LEADS });
    assert_eq!(look(&mut scheduler, at).await, LEADS);
    let due = (at - TimeDelta::minutes(13)).format("%H:%M").to_string();
    assert_eq!(history(&db, &HOURLY).await, [(due, "misfire".into(), true, "others before it were let go".into())]);
}

#[tokio::test]
async fn missed_occurrences_are_let_go_or_caught_up_with_when_the_policy_says_so() {
    let db = database().await;
    let skip = Schedule { name: "skip", ..HOURLY }.misfire(Misfire::Skip);
    let all = Schedule { name: "all", ..HOURLY }.misfire(Misfire::All(3)).overlap(Overlap::Allow);
    let mut scheduler = scheduler(&db, &[skip, all]);
    look(&mut scheduler, now(db.pool()).await).await;
    let at = half_past(6);
    assert_eq!(look(&mut scheduler, at).await, Counts { fired: 3, let_go: 1, ..LEADS });
    let due = |hours| (at - TimeDelta::minutes(13) - TimeDelta::hours(hours)).format("%H:%M").to_string();
    let note = "missed, as others before it were, and let go";
    assert_eq!(history(&db, &skip).await, [(due(0), "misfire".into(), false, note.into())]);
    let caught_up: Vec<_> = history(&db, &all).await.into_iter().map(|(at, .., note)| (at, note)).collect();
    assert_eq!(caught_up, [(due(2), "others before it were let go".into()), (due(1), String::new()), (due(0), String::new())]);
    let on_time = at + TimeDelta::minutes(47) + TimeDelta::seconds(30);
    assert_eq!(look(&mut scheduler, on_time).await, Counts { fired: 2, ..LEADS }, "half a minute late is on time");
}

/// Two schedules of every second, and a scheduler that has learned of them at half past ten.
async fn two_of_every_second(db: &Database, config: Config) -> Scheduler {
    let every_second =
        |name| Schedule::of::<Tick>(name, "* * * * * *", London, "For testing").overlap(Overlap::Allow).misfire(Misfire::All(1000));
    let mut scheduler = Scheduler::new(db.pool().clone(), [every_second("first"), every_second("second")], config);
    look(&mut scheduler, half_past(0)).await;
    scheduler
}

/// How many seconds behind half past ten each schedule has been dealt with.
async fn done_s(db: &Database) -> Vec<i64> {
    let done: Vec<DateTime<Utc>> =
        sqlx::query_scalar("select done_to from engine.schedule order by name").fetch_all(db.pool()).await.expect("read");
    done.into_iter().map(|done| (done - half_past(0)).num_seconds()).collect()
}

#[tokio::test]
async fn a_schedule_that_is_far_behind_does_not_keep_the_others_waiting() {
    let db = database().await;
    let mut scheduler = two_of_every_second(&db, Config::default()).await;
    let later = half_past(0) + TimeDelta::seconds(25);
    for seconds in [10, 20] {
        assert_eq!(look(&mut scheduler, later).await, Counts { fired: 20, behind: true, ..LEADS });
        assert_eq!(done_s(&db).await, [seconds; 2], "both went on");
    }
    assert_eq!(look(&mut scheduler, later).await, Counts { fired: 10, ..LEADS });
}

#[tokio::test]
async fn a_look_leaves_the_rest_after_half_a_lease_and_every_schedule_gets_its_turn() {
    let db = database().await;
    // No database answers in half of this; a clock that stands still keeps the lead from running out.
    clock::stop(db.pool(), half_past(0)).await;
    let config = Config { lease: Duration::from_millis(1), ..Config::default() };
    let mut scheduler = two_of_every_second(&db, config).await;
    let later = half_past(0) + TimeDelta::seconds(25);
    for seconds in 1..=3 {
        for done in [[seconds, seconds - 1], [seconds, seconds]] {
            assert_eq!(look(&mut scheduler, later).await, Counts { fired: 1, behind: true, ..LEADS });
            assert_eq!(done_s(&db).await, done);
        }
    }
}

#[tokio::test]
async fn what_a_clock_that_ran_ahead_let_go_comes_again_and_what_it_fired_does_not() {
    let db = database().await;
    let (skip, latest) = (Schedule { name: "skip", ..HOURLY }.misfire(Misfire::Skip), Schedule { name: "latest", ..HOURLY });
    let both = [skip, latest];
    let mut scheduler = scheduler(&db, &both);
    look(&mut scheduler, half_past(0)).await;
    assert_eq!(look(&mut scheduler, half_past(2)).await, Counts { fired: 1, let_go: 1, ..LEADS });
    run_all(&db, kinds::kinds()).await;
    assert_eq!(look(&mut scheduler, half_past(0)).await, LEADS);
    let at_17 = |hours| half_past(hours) - TimeDelta::minutes(13);
    assert_eq!(look(&mut scheduler, at_17(1)).await, Counts { fired: 2, ..LEADS }, "both had let 11:17 go");
    run_all(&db, kinds::kinds()).await;
    assert_eq!(look(&mut scheduler, at_17(2)).await, Counts { fired: 1, known: 1, ..LEADS }, "one had fired 12:17");
}

#[tokio::test]
async fn an_occurrence_that_comes_while_the_last_job_lives_makes_none() {
    let db = database().await;
    let mut scheduler = scheduler(&db, &[HOURLY]);
    assert_eq!(look(&mut scheduler, half_past(1)).await.fired, 1);
    assert_eq!(look(&mut scheduler, half_past(2)).await, Counts { overlapped: 1, ..LEADS });
    let (.., made_a_job, note) = history(&db, &HOURLY).await.pop().expect("two occurrences");
    assert!(!made_a_job && note.ends_with("still lived"), "{note}");
    run_all(&db, kinds::kinds()).await;
    assert_eq!(look(&mut scheduler, half_past(3)).await.fired, 1);
    assert_eq!(jobs(&db).await, 2);
}

#[tokio::test]
async fn an_overlap_can_be_allowed() {
    let db = database().await;
    let allowed = HOURLY.overlap(Overlap::Allow);
    let mut scheduler = scheduler(&db, &[allowed]);
    for hours in 1..=3 {
        assert_eq!(look(&mut scheduler, half_past(hours)).await.fired, 1);
    }
    assert_eq!(jobs(&db).await, 3);
}

#[tokio::test]
async fn one_occurrence_waits_for_the_end_of_the_last_job_and_no_more() {
    let db = database().await;
    let buffering = HOURLY.overlap(Overlap::Buffer);
    let mut scheduler = scheduler(&db, &[buffering]);
    assert_eq!(look(&mut scheduler, half_past(1)).await.fired, 1);
    for hours in [2, 3] {
        assert_eq!(look(&mut scheduler, half_past(hours)).await, Counts { overlapped: 1, ..LEADS });
    }
    run_all(&db, kinds::kinds()).await;
    let at = half_past(3);
    assert_eq!(look(&mut scheduler, at + TimeDelta::seconds(1)).await, Counts { fired: 1, ..LEADS }, "the one that waited");
    assert_eq!(look(&mut scheduler, at + TimeDelta::seconds(2)).await, LEADS);
    let notes: Vec<_> = history(&db, &buffering).await.into_iter().map(|(.., made_a_job, note)| (made_a_job, note)).collect();
    assert_eq!(notes[..2], [(true, String::new()), (true, "waited for the end of the last job".into())]);
    assert!(notes.len() == 3 && !notes[2].0 && notes[2].1.ends_with("another occurrence waits for its end"), "{notes:?}");
    assert_eq!(jobs(&db).await, 2);
}

#[tokio::test]
async fn jitter_puts_a_job_later_and_no_further_than_it_may() {
    let db = database().await;
    let spread = HOURLY.jitter(Duration::from_mins(20)).overlap(Overlap::Allow).misfire(Misfire::All(50));
    let mut scheduler = scheduler(&db, &[spread]);
    look(&mut scheduler, now(db.pool()).await).await;
    let mut fired = 0;
    loop {
        let counts = look(&mut scheduler, half_past(50)).await;
        fired += counts.fired;
        if !counts.behind {
            break;
        }
    }
    assert_eq!(fired, 50);
    let (_, next) = edit::next(db.pool(), &spread, 45).await.expect("it comes");
    let promised: Vec<DateTime<Utc>> = next.iter().map(|next: &Next| next.runs_at).collect();
    let stored: Vec<(DateTime<Utc>, DateTime<Utc>)> = sqlx::query_as(
        "select o.occurrence, s.run_at from engine.occurrence o join engine.scheduled s on s.job_id = o.job_id order by o.occurrence",
    )
    .fetch_all(db.pool())
    .await
    .expect("the jobs can be read");
    assert!(stored.iter().all(|(occurrence, runs_at)| (TimeDelta::zero()..=TimeDelta::minutes(20)).contains(&(*runs_at - *occurrence))));
    let late: std::collections::BTreeSet<_> = stored.iter().map(|(occurrence, runs_at)| *runs_at - *occurrence).collect();
    assert!(late.len() > 40, "they are spread");
    assert!(promised.iter().all(|promised| stored.iter().any(|(_, runs_at)| runs_at == promised)), "as the preview says");
}

#[tokio::test]
async fn one_bad_schedule_does_not_keep_the_others_and_says_why() {
    let db = database().await;
    let mut scheduler = scheduler(&db, &[BROKEN, REFUSED, HOURLY]);
    let at = half_past(1);
    assert_eq!(look(&mut scheduler, at).await, Counts { fired: 1, failed: 2, ..LEADS });
    let shown = edit::show(db.pool(), &[BROKEN, REFUSED, HOURLY]).await.expect("the schedules can be read");
    let problem = |place: usize| shown[place].in_force.problem.clone().unwrap_or_default();
    assert!(problem(0).starts_with("`61 * * * *` is no cron line"), "{}", problem(0));
    assert!(problem(1).starts_with("its job is refused: "), "{}", problem(1));
    assert_eq!(problem(2), "");

    let mended = [Schedule { job: HOURLY.job, ..REFUSED }];
    end_the_lead(&db).await;
    let mut successor = self::scheduler(&db, &mended);
    assert_eq!(look(&mut successor, at).await, Counts { fired: 1, ..LEADS }, "what it could not fire is made good");
    assert_eq!(edit::show(db.pool(), &mended).await.expect("it can be read")[0].in_force.problem, None);
}

#[tokio::test]
async fn a_schedule_whose_unique_key_an_open_transaction_holds_does_not_keep_the_others() {
    const KEYED: Schedule = Schedule { name: "keyed", job: || Ok(NewJob::of(&Tick {})?.unique_key("one")), ..HOURLY };
    let db = database().await;
    let job = NewJob::of(&Tick {}).expect("it serialises");
    // The lane is there already: who makes it holds up all that enqueue into it.
    engine::Client::new(db.pool().clone()).enqueue(&job).await.expect("enqueued");
    let mut open = db.pool().begin().await.expect("a transaction");
    engine::enqueue_in(&mut open, &job.unique_key("one")).await.expect("enqueued");
    let mut scheduler = scheduler(&db, &[KEYED, HOURLY]);
    let at = half_past(1);
    assert_eq!(look(&mut scheduler, at).await, Counts { fired: 1, failed: 1, ..LEADS });
    open.rollback().await.expect("rolled back");
    assert_eq!(look(&mut scheduler, at + TimeDelta::minutes(5)).await, Counts { fired: 1, ..LEADS }, "it is made good");
}

#[tokio::test]
async fn old_occurrences_are_forgotten_and_the_last_one_stays() {
    let db = database().await;
    look(&mut scheduler(&db, &[HOURLY]), now(db.pool()).await).await;
    let put = "insert into engine.occurrence (schedule, occurrence, fired_at, how)
               select 'hourly', engine.now() - n * interval '1 day', engine.now() - n * interval '1 day', 'cron' from generate_series(10, 29) n";
    sqlx::query(put).execute(db.pool()).await.expect("occurrences can be noted");
    let prune = async |days: u64, most| occurrence::prune(db.pool(), Duration::from_hours(days * 24), most, 5).await.expect("it prunes");
    assert_eq!(prune(365, 1000).await, 0);
    assert_eq!(prune(365, 18).await, 2, "all but the newest 18");
    assert_eq!(prune(15, 1000).await, 5, "so many at once");
    assert_eq!(count(db.pool(), "select count(*) from engine.occurrence").await, 13);
    while prune(1, 1000).await > 0 {}
    assert_eq!(count(db.pool(), "select count(*) from engine.occurrence").await, 1, "the newest stays");
}

#[test]
fn a_schedule_of_a_job_has_its_kind() {
    assert_eq!((HOURLY.kind, (HOURLY.job)().is_ok()), (Tick::KIND, true));
}
