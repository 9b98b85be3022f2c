//! The house: what one worker does for all of them, each duty in a transaction that proves the leader's term.
//!
//! It has a task and a connection of its own, because a duty may take long and promotion and rescue must not wait for
//! it. A duty that fails stops none of the others; its health is a row of `engine.duty`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rand::RngExt;
use sqlx::{Connection, PgConnection};

use super::{complaint, duty::Duty, patience, session::Session};
use crate::{
    sqlstate,
    store::{
        self,
        leader::{self, Lead},
    },
};

/// What the leader leads.
const LED: &str = "house";
/// How late a successor of a leader that crashed begins.
const LEASE: Duration = Duration::from_secs(10);
/// How often the leader looks what is due, and renews.
const TICK: Duration = Duration::from_millis(250);
const RENEW: Duration = Duration::from_secs(2);
/// How often the others ask whether there is a leader.
const ASK: Duration = Duration::from_secs(2);
/// How often it tries to have a lock that it waits for no longer than a moment, so that others do not wait behind it.
const TRIES: usize = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(200);
/// How often one that keeps failing is logged.
const LOG_AGAIN: Duration = Duration::from_mins(1);

/// A duty and when it is due again.
struct Due {
    duty: Duty,
    next: Instant,
    logged: Option<Instant>,
}

struct House {
    session: Arc<Session>,
    duties: Vec<Due>,
}

/// Keeps house until the session is over; a lost connection is opened anew.
pub(super) async fn run(session: Arc<Session>) {
    let now = Instant::now();
    let duties = Duty::ALL.into_iter().map(|duty| Due { duty, next: now, logged: None }).collect();
    let mut house = House { session: session.clone(), duties };
    while !session.is_over() {
        let keeping = async {
            let mut connection = session.connect().await?;
            house.keep(&mut connection).await
        };
        if let Err(error) = patience::unless_over(&session, keeping).await {
            complaint::warn(session.worker_id, "keeping house stopped, connecting anew", &error);
            patience::pause(&session, Duration::from_millis(500)).await;
        }
    }
}

impl House {
    async fn keep(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let session = self.session.clone();
        while !session.is_over() {
            match patience::answer(&session, self.lead(connection)).await? {
                Some(lead) => self.keep_while_leading(connection, &lead).await?,
                None => patience::pause(&session, ASK.mul_f64(jitter())).await,
            }
        }
        patience::answer(&session, leader::resign(&mut *connection, LED, session.worker_id)).await
    }

    async fn lead(&self, connection: &mut PgConnection) -> Result<Option<Lead>, sqlx::Error> {
        let lease_ms = LEASE.as_millis() as i64;
        if !leader::is_free(&mut *connection, LED, lease_ms).await? {
            return Ok(None);
        }
        leader::lead(connection, LED, self.session.worker_id, lease_ms).await
    }

    /// Does what is due, until somebody else leads or the session is over.
    async fn keep_while_leading(&mut self, connection: &mut PgConnection, lead: &Lead) -> Result<(), sqlx::Error> {
        let session = self.session.clone();
        let mut renewed = Instant::now();
        while !session.is_over() {
            if renewed.elapsed() >= RENEW {
                let renewal = leader::lead(&mut *connection, LED, session.worker_id, LEASE.as_millis() as i64);
                if patience::answer(&session, renewal).await?.as_ref() != Some(lead) {
                    return Ok(());
                }
                renewed = Instant::now();
            }
            let due: Vec<usize> = (0..self.duties.len()).filter(|n| self.duties[*n].next <= Instant::now()).collect();
            for place in due {
                if session.is_over() || !self.attend(connection, lead, place).await? {
                    return Ok(());
                }
            }
            patience::pause(&session, TICK.mul_f64(jitter())).await;
        }
        Ok(())
    }

    /// Does one duty and notes how it went; false when somebody else leads by now.
    async fn attend(&mut self, connection: &mut PgConnection, lead: &Lead, place: usize) -> Result<bool, sqlx::Error> {
        let duty = self.duties[place].duty;
        let begun = Instant::now();
        let performed = self.perform(connection, lead, duty);
        match tokio::time::timeout(duty.limit() + Duration::from_secs(5), performed).await {
            Err(_) => return Err(patience::no_answer()),
            Ok(Ok(None)) => return Ok(false),
            Ok(Ok(Some(did))) => {
                store::duty::succeeded(connection, lead, duty.name(), duty.period(), begun.elapsed(), did).await?;
                self.duties[place].logged = None;
                // What was not finished in one batch goes on at once.
                let wait = if duty.has_more(did) { Duration::ZERO } else { duty.period() };
                self.duties[place].next = Instant::now() + wait;
            }
            Ok(Err(error)) => {
                // It is due again after its period, whatever became of the connection.
                self.duties[place].next = Instant::now() + duty.period();
                if !sqlstate::leaves_connection(&error) {
                    return Err(error);
                }
                let failures = store::duty::failed(connection, lead, duty.name(), duty.period(), &error.to_string()).await?;
                let due = &mut self.duties[place];
                if failures == 1 {
                    // Somebody may have held a lock for longer than it waits.
                    tracing::warn!(duty = duty.name(), %error, "a duty failed once; the others go on");
                } else if due.logged.is_none_or(|last| last.elapsed() >= LOG_AGAIN) {
                    due.logged = Some(Instant::now());
                    tracing::error!(duty = duty.name(), failures, %error, "a duty failed; the others go on");
                }
            }
        }
        Ok(true)
    }

    /// Acts, again where a lock was not to be had.
    async fn perform(&self, connection: &mut PgConnection, lead: &Lead, duty: Duty) -> Result<Option<i64>, sqlx::Error> {
        for _ in 1..TRIES {
            match act(connection, lead, duty).await {
                Err(error) if sqlstate::is_lock_timeout(&error) => patience::pause(&self.session, BETWEEN_TRIES.mul_f64(jitter())).await,
                acted => return acted,
            }
        }
        act(connection, lead, duty).await
    }
}

/// Acts in the leader's term; `None` when it is over.
async fn act(connection: &mut PgConnection, lead: &Lead, duty: Duty) -> Result<Option<i64>, sqlx::Error> {
    let mut tx = connection.begin().await?;
    store::duty::begin(&mut tx, duty.limit()).await?;
    if !leader::still_leads(&mut tx, lead).await? {
        return Ok(None);
    }
    let did = duty.act(&mut tx).await?;
    tx.commit().await?;
    Ok(Some(did))
}

fn jitter() -> f64 {
    rand::rng().random_range(0.75..1.25)
}
