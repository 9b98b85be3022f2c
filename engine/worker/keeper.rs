//! The keeper: promotes what is due and rescues what the dead held. Every worker has one; all of their acts are safe
//! beside each other.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;
use sqlx::PgConnection;

use super::{complaint, patience, session::Session, waking::Waking};
use crate::{planted::planted, sqlstate, store};

const TICK: Duration = Duration::from_millis(50);
const PROMOTE_BATCH: i64 = 2000;
/// Rounds a tick: a flood of due jobs must not keep the rescue waiting.
const PROMOTE_ROUNDS: usize = 5;
/// Claims of the dead that are looked at between two promotions.
const ORPHANS: i64 = 100;
/// Requests to cancel that are looked at again in one go.
const CANCELS: i32 = 100;
/// How far behind the last due time a promotion begins, since rows commit out of order.
const PROMOTE_MARGIN: TimeDelta = TimeDelta::seconds(5);

struct Keeper {
    session: Arc<Session>,
    promoted_to: Option<DateTime<Utc>>,
    promote_everywhere: Every,
    sweep: Every,
    suspects: Every,
    held: Every,
    cancels: Every,
    waking: Waking,
}

/// Something done from time to time.
struct Every {
    period: Duration,
    last: Option<Instant>,
}

impl Every {
    const fn new(period: Duration) -> Self {
        Self { period, last: None }
    }

    fn is_due(&mut self) -> bool {
        let due = self.last.is_none_or(|last| last.elapsed() >= self.period);
        if due {
            self.last = Some(Instant::now());
        }
        due
    }
}

/// Keeps until the session is over; a lost connection is opened anew.
pub(super) async fn run(session: Arc<Session>) {
    while !session.is_over() {
        let mut keeper = Keeper {
            session: session.clone(),
            promoted_to: None,
            promote_everywhere: Every::new(Duration::from_secs(5)),
            sweep: Every::new(session.program.config.lease / 8),
            suspects: Every::new(Duration::from_millis(250)),
            held: Every::new(Duration::from_millis(500)),
            cancels: Every::new(Duration::from_secs(1)),
            waking: Waking::new(&session),
        };
        let keeping = async {
            let mut connection = session.connect().await?;
            keeper.keep(&mut connection).await
        };
        if let Err(error) = patience::unless_over(&session, keeping).await {
            complaint::warn(session.worker_id, "keeping stopped, connecting anew", &error);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// What became of a duty: a database that refuses one must not stop the others; a connection that is gone ends them all.
fn duty(what: &str, result: Result<(), sqlx::Error>) -> Result<(), sqlx::Error> {
    let Err(error) = result else { return Ok(()) };
    if sqlstate::is_lock_timeout(&error) {
        tracing::debug!(what, "somebody holds what this duty needs: later");
    } else if sqlstate::leaves_connection(&error) {
        tracing::error!(%error, what, "a duty failed; the others go on");
    } else {
        return Err(error);
    }
    Ok(())
}

impl Keeper {
    async fn keep(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let session = self.session.clone();
        while !session.is_over() {
            if planted!("each look leaves a file open") {
                std::mem::forget(std::fs::File::open("/dev/null"));
            }
            duty("promote", patience::answer(&session, self.promote(connection)).await)?;
            if self.sweep.is_due() && !planted!("nobody sweeps") {
                duty("declare the dead", patience::answer(&session, self.declare_dead(connection)).await)?;
                let rescued = self.rescue(connection).await;
                duty("rescue", rescued)?;
            }
            duty("wake workflows", patience::answer(&session, self.waking.look(connection)).await)?;
            duty("tell the breakers", patience::answer(&session, session.breakers.keep(&session, connection)).await)?;
            duty("admit", patience::answer(&session, admit(&session, connection)).await)?;
            // Its window has begun, or somebody let jobs in who did not see the pause.
            if self.held.is_due() {
                duty("take back what is held", patience::answer(&session, store::waiting::take_back_held(connection)).await.map(drop))?;
            }
            if self.suspects.is_due() {
                duty("look for suspects", patience::answer(&session, self.look_for_suspects(connection)).await)?;
            }
            if self.cancels.is_due() {
                duty("settle cancels", patience::answer(&session, store::cancel_request::settle(connection, CANCELS)).await.map(drop))?;
            }
            tokio::select! {
                () = tokio::time::sleep(TICK.mul_f64(jitter())) => (),
                () = session.breakers.urgent() => (),
            }
        }
        Ok(())
    }

    async fn promote(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.promote_everywhere.is_due() && !planted!("promotion never looks back") {
            self.promoted_to = None;
        }
        for _ in 0..PROMOTE_ROUNDS {
            let floor = self
                .promoted_to
                .map_or(DateTime::UNIX_EPOCH, |last| if planted!("promotion never looks back") { last } else { last - PROMOTE_MARGIN });
            match store::scheduled::promote(connection, floor, PROMOTE_BATCH).await {
                Ok((moved, last)) => {
                    self.promoted_to = self.promoted_to.max(last);
                    if moved < PROMOTE_BATCH {
                        return Ok(());
                    }
                }
                Err(error) if sqlstate::is_of_value(&error) => {
                    tracing::error!(%error, "a promotion failed as a whole, going job by job");
                    return store::scheduled::promote_one_by_one(connection, PROMOTE_BATCH).await.map(drop);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn declare_dead(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let lease_ms = self.session.program.config.lease_ms();
        for dead in store::worker::declare_dead(connection, self.session.worker_id, lease_ms).await? {
            let ended = store::worker::end_sessions(connection, dead).await.unwrap_or(0);
            tracing::warn!(worker.id = dead, sessions_ended = ended, "worker declared dead");
        }
        Ok(())
    }

    /// Rescues what the dead held, page by page; what cannot be rescued yet holds up nothing, neither other claims nor
    /// what is due.
    async fn rescue(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let session = self.session.clone();
        let mut after = 0;
        loop {
            let page = patience::answer(&session, store::claim::orphans(connection, after, ORPHANS)).await?;
            for orphan in &page {
                match patience::answer(&session, store::claim::rescue(connection, *orphan)).await {
                    Ok(0) => (),
                    Ok(jobs) => {
                        tracing::warn!(worker.id = orphan.worker_id, claim.id = orphan.id, jobs, "jobs of a dead worker rescued");
                    }
                    failed => duty("rescue", failed.map(drop))?,
                }
                // Those who died meanwhile do not wait for the last of them.
                if self.sweep.is_due() {
                    duty("declare the dead", patience::answer(&session, self.declare_dead(connection)).await)?;
                }
            }
            let Some(last) = page.last().filter(|_| page.len() as i64 == ORPHANS && !session.is_over()) else { return Ok(()) };
            after = last.id;
            duty("promote", patience::answer(&session, self.promote(connection)).await)?;
        }
    }

    async fn look_for_suspects(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let program = &self.session.program;
        let due = store::scheduled::suspects_due(connection, self.session.worker_id, &program.kind_names, &program.queues).await?;
        self.session.suspects.store(due, Ordering::Release);
        Ok(())
    }
}

fn jitter() -> f64 {
    rand::rng().random_range(0.75..1.25)
}

/// Lets jobs in that wait for a slot of their key.
async fn admit(session: &Session, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let admission = &session.admission;
    let admitted = admission.look(connection).await? + admission.pace(connection).await? + admission.walk(connection).await?;
    if admitted > 0 {
        session.nudge.notify_one();
    }
    Ok(())
}
