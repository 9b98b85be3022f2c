//! The house for a month: web, worker and scheduler on a clock of their own, between sandboxes of every outside system.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Europe::London;
use engine::schedule::{Config, Schedule, Scheduler};
use engine::{Worker, WorkerConfig};
use hmac::{Hmac, KeyInit, Mac};
use jobs::clients::{self, forecast};
use sandbox::customerio::Reporting;
use sandbox::forecast::Forecast;
use serde_json::Value;
use sha2::Sha256;
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use web::webhooks::{courier, customerio, packer, seal};

use crate::support::{Outside, clock, outside};
use crate::webhooks::edge::{COURIER_SECRET, Edge, PACKER_SECRET, REPORTS_KEY, SEAL_SECRET};

/// How long the jobs of one moment may take, by the server's clock.
const LIMIT: Duration = Duration::from_mins(3);
/// A wait that is shorter than this, by the house's clock, is waited for.
const SOON: TimeDelta = TimeDelta::seconds(20);

/// Jobs that could run now; those of a system that is down are left alone, and wait for it.
const READY: &str = "
    select (select count(*) from engine.ready r join engine.lane l on l.id = r.lane_id
            where not exists (select from engine.breaker_kind k join engine.breaker b using (system) where k.kind = l.kind and b.state <> 'closed'))
         + (select count(*) from engine.waiting)
         + (select count(*) from engine.claim c, unnest(c.ids, c.attempts) u (id, n)
            where not exists (select from engine.attempt a where a.job_id = u.id and a.attempt = u.n))";

/// Everything that runs.
pub struct House {
    pub edge: Edge,
    pub outside: Outside,
    pub forecast: Forecast,
    scheduler: Scheduler,
    worker: JoinHandle<Result<(), engine::WorkerError>>,
    stop: CancellationToken,
    first_day: NaiveDate,
    sent: u64,
    _forecast: DropGuard,
}

impl House {
    /// Opens the house on the eve of its first day.
    pub async fn open(first_day: NaiveDate) -> Self {
        let edge = Edge::start().await;
        let reporting = Reporting {
            url: edge.url(customerio::PATH),
            signing_key: REPORTS_KEY.into(),
            include_headers: true,
            twice: true,
            retry_after: Duration::from_millis(100),
        };
        let account = sandbox::customerio::Options { reporting: Some(reporting), ..outside::account() };
        let outside = Outside::of(account, outside::workspace()).await;
        let token = CancellationToken::new();
        let forecast = Forecast::start(sandbox::forecast::Options::new(None), token.clone()).await.expect("a sandbox");
        clock::own(edge.pool()).await;
        let weather = forecast::Settings {
            url: Some(forecast.url().into()),
            timeout: Some(Duration::from_millis(300)),
            pause: Some(Duration::from_millis(1)),
            ..forecast::Settings::default()
        };
        let kinds = outside::with(&clients::Settings { forecast: weather, ..outside.settings() });
        let stop = CancellationToken::new();
        let config = WorkerConfig { poll_interval: Duration::from_millis(10), ..WorkerConfig::default() };
        let table: Vec<Schedule> = schedules::SCHEDULES.iter().filter(|schedule| is_of_the_way(schedule.name)).copied().collect();
        let scheduler = Scheduler::new(edge.pool().clone(), table, Config::default());
        clock::set(edge.pool(), moment(first_day, -1, "20:00")).await;
        let worker = tokio::spawn(Worker::new(edge.pool().clone(), kinds, config).run(stop.clone()));
        Self { edge, outside, forecast, scheduler, worker, stop, first_day, sent: 0, _forecast: token.drop_guard() }
    }

    pub fn pool(&self) -> &PgPool {
        self.edge.pool()
    }

    /// A moment of a day of the month, by London's clock.
    pub fn at(&self, day: i64, time: &str) -> DateTime<Utc> {
        moment(self.first_day, day, time)
    }

    /// Sets the house's clock, fires what is due by then, and lets everything run.
    pub async fn go_on_to(&mut self, day: i64, time: &str) {
        let (now, then) = (self.now().await, self.at(day, time));
        assert!(now <= then, "the clock is at {now} and would go back to {then}");
        clock::set(self.pool(), then).await;
        while self.scheduler.look().await.behind {}
        self.settle().await;
    }

    /// Lets everything run that can run now or soon.
    pub async fn settle(&self) {
        let begun = Instant::now();
        let (mut last_moved, mut attempts) = (Instant::now(), self.attempts().await);
        loop {
            assert!(begun.elapsed() < LIMIT, "jobs of one moment do not end: {:?}", self.unended().await);
            let ready: i64 = sqlx::query_scalar(READY).fetch_one(self.pool()).await.expect("the state of jobs can be read");
            let next: Option<DateTime<Utc>> = sqlx::query_scalar(
                "select min(at) from (select run_at as at from engine.scheduled union all select wake_at from engine.parked) w",
            )
            .fetch_one(self.pool())
            .await
            .expect("times can be read");
            let now = self.now().await;
            let is_due = next.is_some_and(|next| next <= now);
            if ready == 0 && !is_due {
                match next.filter(|next| *next <= now + SOON) {
                    None if self.outside.customerio.reports_under_way() == 0 => return,
                    None => (),
                    Some(next) => clock::set(self.pool(), next).await,
                }
            } else if last_moved.elapsed() > Duration::from_secs(2) {
                let before = std::mem::replace(&mut attempts, self.attempts().await);
                let runs: bool =
                    sqlx::query_scalar("select exists (select from engine.claim)").fetch_one(self.pool()).await.expect("claims");
                if attempts == before && !runs {
                    // Something waits for a time that no table says, such as that of a probe.
                    clock::step(self.pool(), 15.0).await;
                }
                last_moved = Instant::now();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The house's clock.
    async fn now(&self) -> DateTime<Utc> {
        sqlx::query_scalar("select engine.now()").fetch_one(self.pool()).await.expect("the time")
    }

    /// How many attempts have ended.
    async fn attempts(&self) -> i64 {
        sqlx::query_scalar("select count(*) from engine.attempt").fetch_one(self.pool()).await.expect("attempts can be counted")
    }

    /// Every outage is over, and every fault that was asked for has come.
    pub fn assert_no_fault_is_left(&self) {
        let outside = &self.outside;
        let left = [
            outside.customerio.faults_left(),
            outside.slack.faults_left(),
            outside.packer.faults_left(),
            outside.shopify.faults_left(),
            outside.seal.faults_left(),
            self.forecast.faults_left(),
        ];
        assert_eq!(left, [0; 6], "faults of Customer.io, Slack, packer, Shopify, Seal, forecast");
    }

    /// Jobs that have not ended.
    pub async fn unended(&self) -> Vec<(String, String, Option<String>)> {
        sqlx::query_as(
            "select j.kind, j.state, coalesce(j.error, (select a.error from engine.attempt a where a.job_id = j.id order by a.attempt desc limit 1))
             from engine.job_state j where j.state not in ('completed', 'cancelled', 'dead') limit 20",
        )
        .fetch_all(self.pool())
        .await
        .expect("the state of jobs can be read")
    }

    /// Shopify sends a webhook, at times twice.
    pub async fn webhook(&mut self, topic: &str, document: &Value) {
        self.sent += 1;
        for _ in 0..=u64::from(self.sent.is_multiple_of(9)) {
            assert_eq!(self.edge.deliver(topic, &format!("w-{}", self.sent), document.to_string()).await, 200);
        }
    }

    /// Seal sends a webhook.
    pub async fn of_seal(&self, topic: &str, document: &Value) {
        let body = document.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(SEAL_SECRET.as_bytes()).expect("any key length");
        mac.update(body.as_bytes());
        let request = reqwest::Client::new().post(self.edge.url(seal::PATH)).header("content-type", "application/json");
        let request = request.header("x-seal-topic", topic).header("x-seal-hmac-sha256", STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(request.body(body).send().await.expect("the process answers").status(), 200);
    }

    /// The courier's adapter sends a scan.
    pub async fn scan(&self, scan: &Value) {
        let sent = self.edge.adapt(courier::PATH, "application/json", COURIER_SECRET, Utc::now().timestamp(), &scan.to_string()).await;
        assert_eq!(sent, 200, "{scan}");
    }

    /// The packer's adapter sends a file.
    pub async fn file(&self, file: &str) {
        assert_eq!(self.edge.adapt(packer::PATH, "text/csv", PACKER_SECRET, Utc::now().timestamp(), file).await, 200);
    }

    /// Ends the worker.
    pub async fn close(self) -> Edge {
        self.stop.cancel();
        self.worker.await.expect("the worker does not panic").expect("its configuration is right");
        self.edge
    }
}

/// Whether a schedule has to do with orders on their way: the others look at the house by the minute, and are tested by themselves.
fn is_of_the_way(schedule: &str) -> bool {
    !schedule.starts_with("monitor-") && !matches!(schedule, "prune_enqueue_keys" | "watch-allocation-queue")
}

fn moment(first_day: NaiveDate, day: i64, time: &str) -> DateTime<Utc> {
    let date = if day < 0 { first_day - Days::new(day.unsigned_abs()) } else { first_day + Days::new(day as u64) };
    let time = NaiveTime::parse_from_str(time, "%H:%M").expect("a time");
    date.and_time(time).and_local_timezone(London).earliest().expect("a time that comes on that day").to_utc()
}
