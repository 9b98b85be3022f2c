//! What this worker knows of the outside systems that its kinds call: how attempts ended, not told yet, and which are down.
//!
//! Ends are counted here and told many at a time: failures at once, or with the next tick of the keeper, the rest once a
//! second. The database decides what follows (`store/breaker.rs`), and claims leave out the kinds of a system that is down;
//! this is only so that what was claimed before is given back unharmed.

#[cfg(test)]
mod tests;
mod untold;

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rand::RngExt;
use sqlx::PgConnection;
use tokio::sync::Notify;

use self::untold::Untold;
use super::session::Session;
use crate::{
    Failure, Kinds,
    run::Said,
    store::{
        attempt::Verdict,
        breaker::{self, Change, Ends, Finding, Look, Probed},
        claim::Claimed,
    },
};

/// How often a worker looks at the breakers of its systems.
const LOOK: Duration = Duration::from_millis(250);
/// How often it tells of what was answered, which changes nothing by itself.
const TELL: Duration = Duration::from_secs(1);
/// So many failures are told at once; no attempt begins before they are.
const MANY: i64 = 16;
/// How long an attempt waits for that at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// The systems that a worker's kinds call.
#[derive(Default)]
pub(super) struct Breakers {
    names: Vec<&'static str>,
    known: Mutex<Known>,
    /// There is something to tell that should not wait.
    urgent: Notify,
    /// Failures were told.
    told: Notify,
    /// A job may be claimed as a probe.
    probe_due: AtomicBool,
}

#[derive(Default)]
struct Known {
    systems: HashMap<&'static str, System>,
    ends: Vec<Ends>,
    probed: Vec<Probed>,
    looked: Option<Instant>,
    told: Option<Instant>,
}

#[derive(Default)]
struct System {
    barred: bool,
    /// When it was last seen barred.
    seen: Option<Instant>,
    /// Failures that were not told yet.
    failures: i64,
}

/// What one attempt says of the system that it called.
pub(super) enum Word {
    Answered,
    Failed(Failure),
    /// It was not called.
    NoCall,
    /// Whether it was called is not known.
    Nothing,
}

impl Word {
    /// What an attempt says that ended so. What the handler said of its call comes before how it ended, but for a failure: what
    /// answered once may have failed since.
    pub(super) fn of(verdict: Option<&Verdict>, heard: Option<Said>) -> Self {
        match (heard, verdict) {
            (Some(Said::Failed(failure)), _) if failure.of_database => Self::Nothing,
            (Some(Said::Failed(failure)), _) => Self::Failed(failure),
            (_, Some(Verdict::Failed { category, message, retry_after_ms })) => {
                let failure = Failure::new(*category, message.clone());
                Self::Failed(match retry_after_ms {
                    Some(ms) => failure.retry_after(Duration::from_millis((*ms).max(0) as u64)),
                    None => failure,
                })
            }
            (Some(Said::Answered), _) | (None, Some(Verdict::Completed(_) | Verdict::Settled)) => Self::Answered,
            // It runs again without having begun, or is somebody else's.
            (_, Some(Verdict::Released) | None) => Self::Nothing,
            _ => Self::NoCall,
        }
    }
}

impl Breakers {
    pub(super) fn of(kinds: &Kinds) -> Self {
        let mut names: Vec<_> = kinds.calls().into_iter().filter_map(|(_, system)| system).collect();
        names.sort_unstable();
        names.dedup();
        let known = Known { systems: names.iter().map(|name| (*name, System::default())).collect(), ..Known::default() };
        Self { names, known: Mutex::new(known), ..Self::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("no holder of this lock panics")
    }

    /// Whether a job must not begin, since its system is known to be down since it was claimed. Waits until this worker has
    /// told of what failed before.
    pub(super) async fn bars(&self, system: &'static str, job: &Claimed) -> bool {
        if job.probe {
            return false;
        }
        let begun = Instant::now();
        loop {
            let told = self.told.notified();
            {
                let known = self.known();
                let Some(system) = known.systems.get(system) else { return false };
                if system.barred && job.taken < system.seen {
                    return true;
                }
                if system.failures < MANY {
                    return false;
                }
            }
            let left = PATIENCE.saturating_sub(begun.elapsed());
            if left.is_zero() || tokio::time::timeout(left, told).await.is_err() {
                return false;
            }
        }
    }

    /// Takes note of what an attempt says that began at a time.
    pub(super) fn note(&self, system: &'static str, job: &Claimed, begun: Instant, word: Word) {
        let mut known = self.known();
        let known = &mut *known;
        let Some(of) = known.systems.get_mut(system) else { return };
        // What ran while it was down already says nothing new, but how long to wait.
        let late = job.probe || of.seen.is_some_and(|seen| begun < seen);
        let counts = i64::from(!late);
        if job.probe {
            let finding = match &word {
                Word::Answered => Finding::Answered,
                Word::Failed(failure) => Finding::Failed(failure.category.as_str()),
                Word::NoCall => Finding::NoCall,
                Word::Nothing => Finding::Nothing,
            };
            known.probed.push(Probed { system, job_id: job.job_id, attempt: job.attempt, finding });
        }
        match word {
            Word::Answered if !late => add(&mut known.ends, Ends { system, category: None, ended: 1, wait_ms: None, error: None }),
            Word::Failed(failure) => {
                of.failures += counts;
                let wait_ms = failure.retry_after.map(|wait| wait.as_millis().min(i64::MAX as u128) as i64);
                let end = Ends { system, category: Some(failure.category.as_str()), ended: counts, wait_ms, error: Some(failure.message) };
                add(&mut known.ends, end);
            }
            Word::Answered | Word::NoCall | Word::Nothing => {}
        }
        if job.probe || of.failures >= MANY {
            self.urgent.notify_one();
        }
    }

    /// Waits until something should be told at once.
    pub(super) async fn urgent(&self) {
        self.urgent.notified().await;
    }

    /// Whether a job may be claimed as a probe; asked once for each time that it is so.
    pub(super) fn takes_probe(&self) -> bool {
        !self.names.is_empty() && self.probe_due.swap(false, Ordering::AcqRel)
    }

    /// Tells what ended and looks how the systems are, as far as it is time.
    ///
    /// # Errors
    /// The database's; what was not told is told again.
    pub(super) async fn keep(&self, session: &Session, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.names.is_empty() {
            return Ok(());
        }
        let due = self.known().looked.is_none_or(|looked| looked.elapsed() >= LOOK);
        let lost = if due { self.look(session, connection).await? } else { Vec::new() };
        if self.tell(connection, &lost).await? {
            self.look(session, connection).await?;
            // Attempts that waited for it may begin, or are given back.
            self.told.notify_waiters();
        }
        Ok(())
    }

    /// Returns the probes that are lost. Which they were is told with it: one that went since is another.
    async fn look(&self, session: &Session, connection: &mut PgConnection) -> Result<Vec<Probed>, sqlx::Error> {
        let begun = Instant::now();
        let looks = breaker::look(connection, &self.names).await?;
        let mut known = self.known();
        known.looked = Some(begun);
        for look in &looks {
            let Some(system) = known.systems.get_mut(look.system.as_str()) else { continue };
            system.barred = look.barred;
            if look.barred {
                system.seen = Some(begun);
            }
        }
        drop(known);
        if looks.iter().any(|look| look.probe_due) {
            self.probe_due.store(true, Ordering::Release);
            session.nudge.notify_one();
        }
        Ok(looks.iter().filter(|look| look.probe_lost).filter_map(|look| self.lost(look)).collect())
    }

    fn lost(&self, look: &Look) -> Option<Probed> {
        let system = self.names.iter().find(|name| **name == look.system)?;
        Some(Probed { system, job_id: look.probe_job?, attempt: look.probe_attempt?, finding: Finding::Nothing })
    }

    /// True when something was decided by it.
    async fn tell(&self, connection: &mut PgConnection, lost: &[Probed]) -> Result<bool, sqlx::Error> {
        let Some(untold) = self.untold(lost) else { return Ok(false) };
        let decides = !untold.probed.is_empty() || untold.has_failures();
        let changes = if decides {
            let jitter = rand::rng().random_range(0.75..1.25);
            let Some(changes) = breaker::report(connection, &untold.ends, &untold.probed, jitter).await? else { return Ok(false) };
            changes
        } else {
            breaker::count(connection, &untold.ends).await?;
            Vec::new()
        };
        untold.arrived(&changes);
        Ok(decides)
    }

    /// Takes out what is to be told, if it is time; lost probes among it.
    fn untold(&self, lost: &[Probed]) -> Option<Untold<'_>> {
        let mut known = self.known();
        let decides = !lost.is_empty() || !known.probed.is_empty() || known.ends.iter().any(|end| end.category.is_some());
        if !decides && (known.ends.is_empty() || known.told.is_some_and(|told| told.elapsed() < TELL)) {
            return None;
        }
        known.told = Some(Instant::now());
        let (ends, mut probed) = (std::mem::take(&mut known.ends), std::mem::take(&mut known.probed));
        // What this worker has to say of a probe itself comes before.
        let others: Vec<_> = lost.iter().filter(|lost| probed.iter().all(|own| own.system != lost.system)).cloned().collect();
        probed.extend(others);
        Some(Untold::new(self, ends, probed))
    }

    /// These ends were told.
    fn forget(&self, told: &[Ends], changes: &[Change]) {
        for end in told.iter().filter(|end| end.category.is_some()) {
            if let Some(of) = self.known().systems.get_mut(end.system) {
                of.failures -= end.ended;
            }
        }
        for change in changes {
            let (system, error) = (&change.system, change.last_error.as_deref().unwrap_or_default());
            if change.act == "close" {
                tracing::info!(breaker = system, "breaker closed: the system answers");
            } else {
                tracing::warn!(breaker = system, probe_at = ?change.probe_at, error, "breaker open: the jobs that call it are held");
            }
        }
    }
}

/// Adds to what is to be told.
fn add(ends: &mut Vec<Ends>, end: Ends) {
    match ends.iter_mut().find(|known| known.system == end.system && known.category == end.category) {
        Some(known) => {
            known.ended += end.ended;
            known.wait_ms = known.wait_ms.max(end.wait_ms);
            known.error = end.error.or_else(|| known.error.take());
        }
        None => ends.push(end),
    }
}
