//! Scheduler processes that can be killed: this test binary, started again as a scheduler of a test schedule.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use chrono_tz::Europe::London;
use engine::schedule::{Config, Misfire, Overlap, Schedule, Scheduler};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio_util::sync::CancellationToken;

use super::kinds::Tick;

const DATABASE: &str = "RAWOPS_TEST_SCHEDULER_DATABASE";
/// How long a leader leads without renewing.
pub const LEASE: Duration = Duration::from_millis(1500);

/// What the processes fire: something every second, with a job for each, and something every two seconds.
pub const SCHEDULES: &[Schedule] = &[
    Schedule::of::<Tick>("every_second", "* * * * * *", London, "For testing").overlap(Overlap::Allow).misfire(Misfire::All(1000)),
    Schedule::of::<Tick>("every_other_second", "*/2 * * * * *", London, "For testing").overlap(Overlap::Allow).misfire(Misfire::All(1000)),
];

/// One scheduler process. Killed when dropped.
pub struct SchedulerProcess(Child);

impl SchedulerProcess {
    /// Starts one; `clock` is how far its clock is off, such as `+1d`, which needs libfaketime.
    pub fn start(url: &str, clock: Option<&str>) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("a running program has a path"));
        command
            .args(["support::scheduling::a_process_started_as_a_scheduler_schedules", "--exact", "--nocapture", "--test-threads=1"])
            .env(DATABASE, url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let (Some(offset), Some(library)) = (clock, option_env!("FAKETIME_LIBRARY")) {
            command.env("LD_PRELOAD", library).env("FAKETIME", offset).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        Self(command.spawn().expect("this program can be started again"))
    }

    /// Whether it is the one that leads.
    pub async fn leads(&self, pool: &PgPool) -> bool {
        leader(pool).await == Some(self.0.id())
    }

    /// Sends it a signal by name: `KILL`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status().expect("kill can be run");
        assert!(sent.success(), "the scheduler is alive to get {name}");
    }
}

impl Drop for SchedulerProcess {
    fn drop(&mut self) {
        // Already gone is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The process that leads, by the lease in the database.
async fn leader(pool: &PgPool) -> Option<u32> {
    let holder: Option<i64> = sqlx::query_scalar("select worker_id from engine.leader where duty = 'scheduler' and until > engine.now()")
        .fetch_optional(pool)
        .await
        .expect("the test's database answers");
    holder.map(|holder| (holder >> 32) as u32)
}

/// Not a test of its own: what [`SchedulerProcess::start`] runs. Without its variable it has nothing to do.
#[tokio::test]
async fn a_process_started_as_a_scheduler_schedules() {
    let Ok(url) = std::env::var(DATABASE) else { return };
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy(&url)
        .expect("the parent's url is one");
    let config = Config { tick: Duration::from_millis(100), lease: LEASE, ..Config::default() };
    Scheduler::new(pool, SCHEDULES, config).run(CancellationToken::new()).await.expect("its table makes sense");
}
