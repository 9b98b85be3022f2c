//! What a scheduler refuses before it begins.

use std::time::Duration;

use engine::{
    NewJob,
    schedule::{self, Config, Misfire, Schedule, Scheduler, SchedulerError},
};
use tokio_util::sync::CancellationToken;

use super::schedules::HOURLY;
use crate::support::{Database, kinds::Tick, ledger::count};

const SECOND: Duration = Duration::from_secs(1);
const DEBOUNCED: Schedule = Schedule { job: || Ok(NewJob::of(&Tick {})?.unique_args().debounce(SECOND, SECOND)), ..HOURLY };

#[test]
fn a_schedule_that_makes_no_sense_is_refused_by_its_name() {
    let long: &str = "x".repeat(201).leak();
    for (schedule, words) in [
        (Schedule { name: "", ..HOURLY }, "a name has 1 to 200 characters"),
        (Schedule { name: long, ..HOURLY }, "a name has 1 to 200 characters"),
        (Schedule { cron: "61 * * * *", ..HOURLY }, "is no cron line"),
        (Schedule { cron: "0 0 31 2 *", ..HOURLY }, "never comes"),
        (HOURLY.misfire(Misfire::All(0)), "N from 1 to 1000"),
        (HOURLY.misfire(Misfire::All(1001)), "N from 1 to 1000"),
        (HOURLY.jitter(Duration::from_hours(25)), "a jitter is 24 hours at most"),
        (DEBOUNCED.jitter(SECOND), "it has no jitter"),
        (Schedule { job: || Ok(NewJob::of(&Tick {})?.priority(10)), ..HOURLY }, "from 0, which runs first, to 9"),
    ] {
        let Err(SchedulerError::Schedule { name, why }) = schedule::validate(&[schedule]) else { panic!("taken, and {words}") };
        assert!(name == schedule.name && why.contains(words), "{why}");
    }
    schedule::validate(&[DEBOUNCED]).expect("without jitter it may be");
}

#[tokio::test]
async fn a_scheduler_whose_table_or_settings_make_no_sense_does_not_begin() {
    let db = Database::new().await;
    let over = CancellationToken::new();
    over.cancel();
    let run = |table: &[Schedule], config| Scheduler::new(db.pool().clone(), table, config).run(over.clone());
    let twice = run(&[HOURLY, DEBOUNCED], Config::default()).await.expect_err("two of one name");
    assert_eq!(twice.to_string(), "schedule \"hourly\": another one has this name");
    let of = Config::default;
    for config in [
        Config { tick: Duration::ZERO, ..of() },
        Config { lease: SECOND, ..of() },
        Config { lease: Duration::MAX, ..of() },
        Config { grace: Duration::MAX, ..of() },
        Config { kept: Duration::MAX, ..of() },
        Config { kept_most: 0, ..of() },
    ] {
        let refused = run(&[HOURLY], config).await;
        assert!(matches!(refused, Err(SchedulerError::Config(_))), "{refused:?}");
    }
    assert_eq!(count(db.pool(), "select count(*) from engine.schedule").await, 0);
    run(&[HOURLY], Config::default()).await.expect("one that makes sense begins, and ends at once");
}
