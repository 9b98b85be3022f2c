//! All that is known of a run when it has ended: the database on one side, the ledger and the witnesses on the other.

mod again;
mod harms;
mod keys;
mod pauses;
mod restarts;
mod rows;
mod trail;

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::{
    journal,
    ledger::{Accepted, Ack, Act, Deed, Fault, Intent, Mail, Shaped},
    model::foresee,
    process::{Life, place},
    program::{Manner, Program},
    stage::Stage,
    witness::Word,
};

pub use again::Again;
pub use harms::Harm;
pub use pauses::Pause;
pub use restarts::Restart;
pub(crate) use rows::attempts;
pub use rows::{Attempt, Effect, Hook, Job, Letter, Notice, Observed, Occurrence, Order, Outgoing, Version, Worker};
pub use trail::{Switch, Trail};

/// All that is known.
#[derive(Default)]
pub struct Facts {
    /// The seed.
    pub seed: u64,
    /// The jobs.
    pub jobs: Vec<Job>,
    /// The jobs of each program, as places in `jobs`.
    pub by_key: HashMap<String, Vec<usize>>,
    /// The attempts of each job, in order.
    pub attempts: HashMap<i64, Vec<Attempt>>,
    /// The letters.
    pub letters: Vec<Letter>,
    /// The versions of the retry policy, in the order of time.
    pub policy: Vec<Version>,
    /// What somebody is to be told of.
    pub notices: Vec<Notice>,
    /// The rows of each program.
    pub effects: HashMap<String, Vec<Effect>>,
    /// How many steps of each workflow are kept.
    pub steps: HashMap<i64, i64>,
    /// The workflows that run again, by their jobs.
    pub restarts: HashMap<i64, Restart>,
    /// How far each job said that it is.
    pub progress: HashMap<i64, i64>,
    /// What each job wrote into its log.
    pub lines: HashMap<i64, Vec<String>>,
    /// How often the event of each key was emitted.
    pub events: HashMap<String, i64>,
    /// What came by the clock.
    pub occurrences: Vec<Occurrence>,
    /// All workers that ever lived.
    pub workers: Vec<Worker>,
    /// The inbox.
    pub hooks: Vec<Hook>,
    /// The orders.
    pub orders: Vec<Order>,
    /// The words of witnesses, in the order of time.
    pub words: Vec<Word>,
    /// What was meant.
    pub intents: Vec<Intent>,
    /// What was acknowledged, by the first program's name.
    pub acks: HashMap<String, Ack>,
    /// What operators did and were told.
    pub acts: Vec<Act>,
    /// The webhooks that were accepted.
    pub accepted: Vec<Accepted>,
    /// The mails that were put into the outbox.
    pub mails: Vec<Mail>,
    /// The outbox.
    pub outbox: Vec<Outgoing>,
    /// The marks of the mails that arrived outside, in order.
    pub mails_out: Vec<String>,
    /// How many workers lived in namespaces of their own.
    pub apart: usize,
    /// Whether the fleet was of two versions.
    pub mixed: bool,
    /// The jobs of two versions that were acknowledged.
    pub shaped: Vec<Shaped>,
    /// The faults.
    pub faults: Vec<Fault>,
    /// When the server was started again.
    pub starts: Vec<DateTime<Utc>>,
    /// What became of breakers, change by change.
    pub trail: Trail,
    /// What happened to processes.
    pub lives: Vec<Life>,
    /// The places that were reached.
    pub places: BTreeSet<String>,
    /// Every program that may have a job.
    pub programs: HashMap<String, Program>,
    /// What the run's end said.
    pub observed: Observed,
}

impl Facts {
    /// Gathers them.
    ///
    /// # Errors
    /// The database's and the file system's.
    pub async fn gather(stage: &Stage, observed: Observed) -> anyhow::Result<Self> {
        let pool = &stage.pool;
        let jobs: Vec<Job> = all(
            pool,
            "select j.id, l.kind, j.args, j.unique_key, j.limit_key, l.priority, j.parent_id, j.requeued_from, j.deadline, j.created_at
             from engine.job j join engine.lane l on l.id = j.lane_id order by j.id",
        )
        .await?;
        let attempts: Vec<Attempt> = all(pool, attempts!("job_id, attempt")).await?;
        let effects: Vec<Effect> = all(pool, "select program, act, job_id, attempt, last, at from ordeal.effect order by at").await?;
        let mut words: Vec<Word> = journal::read(&stage.folder, "witness-")?;
        words.sort_by_key(|word| word.at_us);
        let intents: Vec<Intent> = journal::read(&stage.folder, "intents.")?;
        let acts: Vec<Act> = journal::read(&stage.folder, "acts.")?;
        let answers: Vec<Ack> = journal::read(&stage.folder, "acks.")?;
        let mut by_key: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, job) in jobs.iter().enumerate() {
            if let Some(key) = job.key() {
                by_key.entry(key.into()).or_default().push(place);
            }
        }
        Ok(Self {
            seed: stage.seed,
            by_key,
            jobs,
            attempts: grouped(attempts, |attempt| attempt.job_id),
            letters: all(
                pool,
                "select id, job_id, category, error_message, payload, resolved, resolved_by, resolution, requeued_job_id from engine.dead_letter_queue",
            )
            .await?,
            effects: grouped(effects, |effect| effect.program.clone()),
            policy: all(
                pool,
                "select category, kind, version, what, \"row\", changed_at from engine.retry_policy_history order by id",
            )
            .await?,
            notices: all(pool, "select job_id, attempt, category from engine.notice").await?,
            steps: pairs(all(pool, "select job_id, count(*) from engine.step group by job_id").await?),
            restarts: restarts::all(pool).await?,
            progress: pairs(all(pool, "select job_id, done from engine.progress").await?),
            lines: grouped(
                all(pool, "select job_id, line from engine.log_line order by job_id, position").await?,
                |line: &(i64, String)| line.0,
            )
            .into_iter()
            .map(|(job, lines)| (job, lines.into_iter().map(|(_, line)| line).collect()))
            .collect(),
            events: pairs(all(pool, "select key, count(*) from engine.event group by key").await?),
            occurrences: all(
                pool,
                "select schedule, occurrence, fired_at, job_id, how, note from engine.occurrence order by schedule, occurrence",
            )
            .await?,
            workers: all(pool, "select id, pid, dead_at, lease_until from ordeal.worker").await?,
            hooks: all(pool, "select id, webhook_id, raw_body, processing_status from raw_ops.webhook_inbox").await?,
            orders: all(pool, "select shopify_order_id::bigint as id, updated_at_shopify as updated_at from raw_ops.orders").await?,
            words,
            programs: programs(&intents, &acts),
            intents,
            acks: answers.into_iter().map(|ack| (ack.key.clone(), ack)).collect(),
            acts,
            accepted: journal::read(&stage.folder, "accepted.")?,
            mails: journal::read(&stage.folder, "mails.")?,
            outbox: all(pool, "select id, state from raw_ops.outbox").await?,
            mails_out: stage
                .outside
                .messages()
                .iter()
                .filter_map(|mail| mail.header("X-Rawops-Message").map(ToString::to_string))
                .collect(),
            apart: stage.fleet.apart(),
            mixed: stage.fleet.is_mixed(),
            shaped: journal::read(&stage.folder, "shaped.")?,
            faults: journal::read(&stage.folder, "faults.")?,
            starts: stage.server.starts(),
            trail: Trail::gather(stage).await?,
            lives: journal::read(&stage.folder, "lives.")?,
            places: places(stage)?,
            observed,
        })
    }

    /// The job of a program, where there is one.
    pub fn job_of(&self, key: &str) -> Option<&Job> {
        self.by_key.get(key).and_then(|places| places.first()).map(|place| &self.jobs[*place])
    }

    /// What the server's clock said, by the clock of all.
    pub fn by_the_clock_of_all(&self, at: DateTime<Utc>) -> Option<i64> {
        let near = self.lives.iter().min_by_key(|life| (life.at - at).abs())?;
        Some(near.at_us + (at - near.at).num_microseconds()?)
    }

    /// The attempts of a job.
    pub fn attempts_of(&self, job: i64) -> &[Attempt] {
        self.attempts.get(&job).map_or(&[], Vec::as_slice)
    }

    /// The attempt that a job ended with.
    pub fn end_of(&self, job: i64) -> Option<&Attempt> {
        self.attempts_of(job).iter().find(|attempt| attempt.is_last())
    }

    /// The job that displaced this one, which shares its key, by the words of its end; none when nobody did.
    pub fn displaced_by(&self, job: i64) -> Option<i64> {
        let end = self.end_of(job).filter(|end| end.outcome == "cancelled")?;
        let words = end.error.as_deref()?;
        let replaced = words.strip_prefix("replaced by job ");
        replaced.or_else(|| words.strip_prefix("job ")?.strip_suffix(" took its unique key over"))?.parse().ok()
    }

    /// Whether a job that had its key taken away was ended for that; of one whose key is free again nobody knows by whom. One
    /// that was lost with its worker when its key had gone over is ended without a word.
    pub fn was_displaced(&self, job: i64) -> bool {
        let Some(end) = self.end_of(job).filter(|end| end.outcome == "cancelled") else { return false };
        let silently = || self.job(job).is_some_and(|job| job.manner() == Manner::Debounces);
        self.displaced_by(job).is_some()
            || end.error.as_deref().map_or_else(silently, |words| words == "a newer job took its unique key over")
    }

    /// Whether a job is a part of a batch that was cancelled or died: what of it had not ended then is cancelled with it.
    pub fn was_cancelled_with_batch(&self, job: i64) -> bool {
        let batch = self.job(job).and_then(|job| self.job(job.parent_id?)).filter(|parent| parent.is_batch());
        batch.and_then(|batch| self.end_of(batch.id)).is_some_and(|end| end.outcome != "completed")
    }

    /// Whether a job ended as cancelled, on an operator's word.
    pub fn is_cancelled(&self, job: i64) -> bool {
        self.cancelled(job).is_some() && self.end_of(job).is_some_and(|end| end.outcome == "cancelled")
    }

    /// The job of an id.
    pub fn job(&self, id: i64) -> Option<&Job> {
        self.jobs.binary_search_by_key(&id, |job| job.id).ok().map(|place| &self.jobs[place])
    }

    /// What operators were told when they cancelled a job: none when they never did.
    pub fn cancelled(&self, job: i64) -> Option<&Act> {
        self.acts.iter().filter(|act| matches!(&act.what, Deed::Cancel(id, _) if *id == job)).max_by_key(|act| act.answered_us)
    }
}

async fn all<T>(pool: &PgPool, sql: &'static str) -> Result<Vec<T>, sqlx::Error>
where
    T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
{
    sqlx::query_as(sql).fetch_all(pool).await
}

fn pairs<K: std::hash::Hash + Eq>(rows: Vec<(K, i64)>) -> HashMap<K, i64> {
    rows.into_iter().collect()
}

fn grouped<K: std::hash::Hash + Eq, T>(rows: Vec<T>, key: impl Fn(&T) -> K) -> HashMap<K, Vec<T>> {
    let mut groups: HashMap<K, Vec<T>> = HashMap::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups
}

fn programs(intents: &[Intent], acts: &[Act]) -> HashMap<String, Program> {
    let mut known = HashMap::new();
    let mut open: Vec<Program> = intents.iter().flat_map(|intent| intent.programs.iter().chain(&intent.callback).cloned()).collect();
    open.extend(acts.iter().filter_map(|act| act.what.program()).cloned());
    while let Some(program) = open.pop() {
        let foreseen = foresee(&program);
        open.extend(foreseen.children.into_iter().chain(foreseen.undone).cloned());
        known.insert(program.key.clone(), program);
    }
    known
}

fn places(stage: &Stage) -> std::io::Result<BTreeSet<String>> {
    let mut places = place::here();
    for entry in std::fs::read_dir(&stage.folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("places-")) {
            places.extend(std::fs::read_to_string(&path)?.lines().map(ToString::to_string));
        }
    }
    Ok(places)
}
