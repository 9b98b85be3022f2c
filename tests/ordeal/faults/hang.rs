//! A worker is stopped in a transaction of a handler, and the server's session of it hangs as well: it cannot be ended, as one
//! that waits for a disk cannot. What holds its job holds no other: the rest of its claim is rescued, job by job.

use rand::{RngExt, rngs::StdRng};
use rustix::process::{Pid, Signal, kill_process};

use super::{NOTHING, place::start_armed, take};
use crate::{
    process::{Arm, Doing, Role, child::LEASE},
    stage::Stage,
};

/// After so many leases it was declared dead, and what can be rescued was.
const LEASES: std::ops::Range<f64> = 2.6..4.0;

/// Sessions of the server that hang. They go on when this goes.
struct Hung(Vec<Pid>);

impl Hung {
    /// Lets the sessions hang in which transactions of a stopped worker are open. They wait for it, so they hold nothing that
    /// the server as a whole needs.
    async fn of(stage: &Stage, worker: u32) -> Self {
        const OPEN: &str = "select a.pid from pg_stat_activity a join engine.worker w on a.application_name = 'rawops worker ' || w.id
            where (w.info ->> 'pid')::bigint = $1 and a.datname = current_database() and a.state = 'idle in transaction'";
        // A server that is away has none.
        let open: Vec<i32> = sqlx::query_scalar(OPEN).bind(i64::from(worker)).fetch_all(&stage.pool).await.unwrap_or_default();
        let open = open.into_iter().filter_map(Pid::from_raw);
        Self(open.filter(|session| kill_process(*session, Signal::STOP).is_ok()).collect())
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        for session in &self.0 {
            // One whose server was killed may be gone.
            let _ = kill_process(*session, Signal::CONT);
        }
    }
}

pub async fn strike(stage: &Stage, random: &mut StdRng) -> anyhow::Result<String> {
    let time = LEASE.mul_f64(random.random_range(LEASES));
    let arm = Arm { statement: "claim/assert".into(), after: true, time: random.random_range(1..25), doing: Doing::Stop };
    let Some(slot) = take(stage, random, |role| matches!(role, Role::Worker(_))) else { return Ok(NOTHING.into()) };
    let came = if start_armed(stage, slot, &arm).await? {
        let hung = Hung::of(stage, stage.fleet.pid(slot).unwrap_or_default()).await;
        tokio::time::sleep(time).await;
        format!("{} sessions for {} ms", hung.0.len(), time.as_millis())
    } else {
        NOTHING.into()
    };
    if came == NOTHING {
        // It would stop later, when nobody lets it go on.
        stage.fleet.signal(slot, Signal::KILL, "KILL");
    } else {
        stage.fleet.signal(slot, Signal::CONT, "CONT");
    }
    stage.fleet.release(slot);
    Ok(came)
}
