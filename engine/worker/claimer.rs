//! The claimer: takes jobs while there is room, and sleeps when there are none.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use rand::RngExt;
use sqlx::PgConnection;
use tokio::sync::mpsc::UnboundedSender;

use super::{
    ageing::Ageing,
    complaint,
    floor::{Floors, Look},
    front::Front,
    lanes::Lanes,
    limited::Limited,
    pace::Room,
    patience,
    runs::Runs,
    session::Session,
    stray::Strays,
    suspect::Turns,
};
use crate::{
    metrics,
    planted::planted,
    sqlstate,
    store::{self, claim::Claimed},
    trace,
};

/// How often a worker polls quickly before it says that it sleeps.
const QUICK_POLLS: u32 = 5;
/// The least time between two claims when the last one got few jobs: lets a trickle gather.
const BREATH: Duration = Duration::from_millis(1);

/// How often a claimer looks at all that is ready, whatever it believes.
const EVERYWHERE: Duration = Duration::from_mins(15);

pub(super) struct Claimer {
    pub(super) session: Arc<Session>,
    hand_over: UnboundedSender<Claimed>,
    floors: Floors,
    ageing: Ageing,
    looked_again: Instant,
    looked_back: Instant,
    back_every: Duration,
    looked_everywhere: Instant,
    front: Front,
    quiet_polls: u32,
    asleep: bool,
    turn: i32,
    strays: Strays,
    pub(super) turns: Turns,
    limited: Limited,
    runs: Runs,
    /// How many claims in a row the database refused.
    refused: u32,
}

/// Claims until the session is over; a lost connection is opened anew.
pub(super) async fn run(session: Arc<Session>, hand_over: UnboundedSender<Claimed>) {
    let now = Instant::now();
    let mut claimer = Claimer {
        session: session.clone(),
        hand_over,
        floors: Floors::default(),
        ageing: Ageing::new(session.program.config.ageing),
        looked_again: now,
        looked_back: now,
        back_every: Duration::from_secs(3),
        looked_everywhere: now,
        front: Front::new(now),
        quiet_polls: 0,
        asleep: false,
        turn: 0,
        strays: Strays::default(),
        turns: Turns::new(session.program.config.lease, now),
        limited: Limited::new(session.program.config.ageing),
        runs: Runs::new(session.program.config.run_time),
        refused: 0,
    };
    while !session.is_over() {
        let claiming = async {
            let mut connection = session.connect().await?;
            claimer.strays.look_at_once();
            // After a failover positions may begin anew below what was seen before.
            claimer.floors = Floors::default();
            claimer.claim_on(&mut connection).await
        };
        match patience::unless_over(&session, claiming).await {
            Err(error) if sqlstate::is_lasting_refusal(&error) => {
                complaint::refused(session.worker_id, "the database refuses a claim, trying again later", &error);
                claimer.refused = claimer.refused.saturating_add(1);
                patience::pause(&session, patience::before_next_try(claimer.refused)).await;
            }
            Err(error) => {
                complaint::warn(session.worker_id, "claiming stopped, connecting anew", &error);
                patience::pause(&session, Duration::from_millis(200)).await;
            }
            Ok(()) => (),
        }
    }
}

impl Claimer {
    async fn claim_on(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        patience::answer(&self.session, self.session.admission.learn(connection)).await?;
        while !self.session.is_over() {
            self.strays.release(&self.session, connection).await?;
            if self.session.suspects.load(Ordering::Acquire) && self.turns.may_begin(Instant::now()) {
                self.run_suspects(connection).await?;
            }
            let room = self.session.pace.room(self.session.program.config.concurrency, self.session.program.config.batch);
            if room.limit == 0 {
                self.until_nudged(Duration::from_millis(100)).await;
                continue;
            }
            if self.session.breakers.takes_probe() {
                self.probe(connection).await?;
                continue;
            }
            let took = self.take(connection, &room).await?;
            if took == 0 {
                self.rest(connection).await?;
            } else {
                self.awake(connection).await?;
                if took < 8 {
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
        Ok(())
    }

    async fn take(&mut self, connection: &mut PgConnection, room: &Room) -> Result<usize, sqlx::Error> {
        let (look, in_front) = (self.look(), self.front.looks(self.quiet_polls > 0, Instant::now()));
        self.turn = (self.turn + 1) % 101;
        let begun = Instant::now();
        let session = self.session.clone();
        let others_first = self.limited.come_last();
        let mut limited = if others_first {
            Vec::new()
        } else {
            self.limited.take(&session, &mut self.floors, connection, (room, look, in_front, room.limit)).await?
        };
        let limit = room.limit.saturating_sub(limited.len());
        if limit == 0 {
            let took = limited.len();
            self.hand_over(limited, begun);
            return Ok(took);
        }
        let (asked_of, runs) = self.runs.plan(room, |lane| session.pace.undisturbed(lane));
        let mut boosts = self.ageing.boosts(begun);
        boosts.extend(self.limited.boosts(begun));
        let lanes = Lanes::of(&asked_of, &runs, boosts);
        let wanted = store::claim::Wanted {
            worker_id: session.worker_id,
            kinds: &session.program.kind_names,
            queues: &session.program.queues,
            limit: limit as i64,
            floors: lanes.ids.iter().map(|lane| self.floors.of(*lane, look)).collect(),
            lanes: lanes.ids,
            quotas: lanes.quotas,
            boosts: lanes.boosts,
            runs: lanes.runs,
            new_lane_quota: asked_of.new_lane as i64,
            turn: self.turn,
            with_queues: trace::is_exported(),
            in_front,
        };
        let asked = Instant::now();
        let (snapshot, mut jobs) = patience::claim(&session, store::claim::take(connection, &wanted)).await?;
        self.refused = 0;
        if matches!(look, Look::Back | Look::Everywhere) {
            // A look back costs what dead entries it steps over; keep that under a twentieth of the time.
            self.back_every = (asked.elapsed() * 20).max(Duration::from_secs(3));
            self.looked_back = Instant::now();
        }
        self.ageing.learn(&snapshot.lanes, &jobs, jobs.len() >= limit, Instant::now());
        self.runs.learn(&asked_of, &runs, &jobs);
        let exhausted = asked_of.is_exhausted_by(&jobs, limit);
        if others_first && jobs.len() < limit {
            limited = self.limited.take(&session, &mut self.floors, connection, (room, look, in_front, limit - jobs.len())).await?;
        }
        self.floors.learn(&snapshot, look, &jobs, exhausted, Instant::now());
        jobs.extend(limited);
        self.limited.learn(snapshot.limited);
        if in_front {
            self.front.learn(begun.elapsed());
        }
        let took = jobs.len();
        self.hand_over(jobs, begun);
        Ok(took)
    }

    fn look(&mut self) -> Look {
        let now = Instant::now();
        if now.duration_since(self.looked_everywhere) >= EVERYWHERE {
            self.looked_everywhere = now;
            return Look::Everywhere;
        }
        if now.duration_since(self.looked_back) >= self.back_every {
            return Look::Back;
        }
        if self.floors.is_hasty() && now.duration_since(self.looked_again) >= Duration::from_secs(1) {
            self.looked_again = now;
            return Look::Again;
        }
        Look::On
    }

    /// Claims one job for each outside system that is down and may be asked whether it still is.
    async fn probe(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let (session, begun) = (&self.session, Instant::now());
        let taking = store::breaker::take_probes(connection, session.worker_id, &session.program.kind_names, &session.program.queues);
        let probes = patience::claim(session, taking).await?;
        self.hand_over(probes, begun);
        Ok(())
    }

    /// Hands over what was claimed by statements that began at a time.
    pub(super) fn hand_over(&self, jobs: Vec<Claimed>, begun: Instant) {
        self.session.holds(jobs.iter().flat_map(Claimed::run).map(|job| job.claim_id));
        for mut job in jobs {
            job.taken = Some(begun);
            for follower in &mut job.followers {
                follower.taken = Some(begun);
            }
            for job in job.run() {
                self.session.pace.took(job.lane_id);
                metrics::picked_up(job);
            }
            // The receiver lives as long as the worker loop, which ends after this task has.
            let _ = self.hand_over.send(job);
        }
    }

    /// Nothing was ready: admits what came to wait, else polls quickly a few times, then asks to be woken and sleeps.
    async fn rest(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if patience::answer(&self.session, self.session.admission.look(connection)).await? > 0 {
            return Ok(());
        }
        self.quiet_polls += 1;
        if self.quiet_polls <= QUICK_POLLS {
            self.until_nudged(Duration::from_millis(1 << self.quiet_polls)).await;
            return Ok(());
        }
        if !self.asleep {
            store::worker::sleep(connection, self.session.worker_id).await?;
            self.asleep = true;
            // What was enqueued before the row above could be seen made no notice: look once more.
            return Ok(());
        }
        let config = &self.session.program.config;
        let longest = if self.session.listening.load(Ordering::Acquire) { config.poll_interval } else { config.poll_interval_deaf };
        if planted!("a sleeper is woken by nobody") {
            patience::pause(&self.session, Duration::from_hours(1)).await;
        }
        let jittered = longest.mul_f64(rand::rng().random_range(0.75..1.0));
        self.until_nudged(jittered).await;
        Ok(())
    }

    async fn awake(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        self.quiet_polls = 0;
        if std::mem::take(&mut self.asleep) {
            store::worker::wake(connection, self.session.worker_id).await?;
        }
        Ok(())
    }

    pub(super) async fn until_nudged(&self, longest: Duration) {
        let of_rate = self.limited.until_rate();
        let longest = of_rate.map_or(longest, |wait| longest.min(wait.max(BREATH)));
        tokio::select! {
            () = self.session.nudge.notified() => (),
            () = patience::pause(&self.session, longest) => (),
        }
    }
}
