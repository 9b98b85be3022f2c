//! All that is known of a run when it has ended: the database on one side, the ledger and the witnesses on the other.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use engine::Job as _;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    journal,
    kinds::{Play, PlayTogether},
    ledger::{Accepted, Ack, Act, Deed, Fault, Intent, Mail, Shaped},
    model::foresee,
    process::{Life, place},
    program::{DEBOUNCED, Manner, Program, REPLACED},
    stage::Stage,
    witness::Word,
};

/// A job as the database has it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Job {
    /// Its id.
    pub id: i64,
    /// Its kind.
    pub kind: String,
    /// Its arguments.
    pub args: Value,
    /// Its unique key.
    pub unique_key: Option<String>,
    /// The job on whose behalf it was made.
    pub parent_id: Option<i64>,
    /// The letter it was made from.
    pub requeued_from: Option<Uuid>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl Job {
    /// The name of its program, if it plays one.
    pub fn key(&self) -> Option<&str> {
        matches!(self.kind.as_str(), Play::KIND | PlayTogether::KIND).then(|| self.args.get("key").and_then(Value::as_str)).flatten()
    }
}

/// An attempt as the ledger of the engine has it.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Attempt {
    /// The job.
    pub job_id: i64,
    /// Its number.
    pub attempt: i32,
    /// Who ran it.
    pub worker_id: Option<i64>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// How.
    pub outcome: String,
    /// The error category.
    pub category: Option<String>,
    /// The error.
    pub error: Option<String>,
    /// The output.
    pub output: Option<Value>,
}

impl Job {
    /// What becomes of it when another of its unique key comes; one that was made from a letter has the letter's key.
    pub fn manner(&self) -> Manner {
        match self.unique_key.as_deref().and_then(|key| key.split_once('-')) {
            Some((REPLACED, _)) => Manner::Replaces,
            Some((DEBOUNCED, _)) => Manner::Debounces,
            _ => Manner::Yields,
        }
    }
}

impl Attempt {
    /// Whether the job ended with it.
    pub fn is_last(&self) -> bool {
        matches!(self.outcome.as_str(), "completed" | "cancelled" | "dead")
    }

    /// Whether it counts for nothing: the job is where it was before.
    pub fn is_void(&self) -> bool {
        matches!(self.outcome.as_str(), "lost" | "released")
    }
}

/// A dead letter.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Letter {
    /// Its id.
    pub id: Uuid,
    /// The job that died.
    pub job_id: Option<i64>,
    /// The category that decided.
    pub category: Option<String>,
    /// The last error.
    pub error_message: Option<String>,
    /// The arguments.
    pub payload: Value,
    /// Whether it was dealt with.
    pub resolved: bool,
    /// By whom.
    pub resolved_by: Option<String>,
    /// The job in its place.
    pub requeued_job_id: Option<i64>,
}

/// A row that a program wrote.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Effect {
    /// The program.
    pub program: String,
    /// The act.
    pub act: i32,
    /// The job.
    pub job_id: i64,
    /// The attempt.
    pub attempt: i32,
    /// Whether it was committed with the job's completion.
    pub last: bool,
    /// When it was written.
    pub at: DateTime<Utc>,
}

/// A time that a schedule came.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Occurrence {
    /// The schedule.
    pub schedule: String,
    /// When.
    pub occurrence: DateTime<Utc>,
    /// Its job.
    pub job_id: Option<i64>,
    /// How it was dealt with.
    pub how: String,
}

/// A worker's life.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Worker {
    /// Its id.
    pub id: i64,
    /// Its process.
    pub pid: Option<i64>,
    /// When it was declared dead.
    pub dead_at: Option<DateTime<Utc>>,
}

/// A webhook in the inbox.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Hook {
    /// The sender's id of it.
    pub webhook_id: String,
    /// Its bytes.
    pub raw_body: Vec<u8>,
    /// What became of it.
    pub processing_status: String,
}

/// An order as the product has it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Order {
    /// The shop's id of it.
    pub id: i64,
    /// The version that is stored.
    pub updated_at: DateTime<Utc>,
}

/// A mail in the outbox.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Outgoing {
    /// Its row.
    pub id: Uuid,
    /// What became of it.
    pub state: String,
}

/// What a run's end said that no row can: what was stuck, what did not answer.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Jobs that had not ended when patience did, one line a place.
    pub stuck: Vec<String>,
    /// Processes that did not answer after everything was healed.
    pub silent: Vec<String>,
    /// What was left over after every process had ended.
    pub left_over: Vec<String>,
    /// Facts that were seen during the run and had changed at its end.
    pub revised: Vec<String>,
    /// How many ended attempts were seen during the run.
    pub seen: usize,
    /// What the doctor found.
    pub doctor: Vec<String>,
    /// When the run began and when schedules were stopped, by the database's clock.
    pub cron: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// All that is known.
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
    /// The rows of each program.
    pub effects: HashMap<String, Vec<Effect>>,
    /// How far each job said that it is.
    pub progress: HashMap<i64, i64>,
    /// What each job wrote into its log.
    pub lines: HashMap<i64, Vec<String>>,
    /// How often the event of each key was emitted.
    pub events: HashMap<String, i64>,
    /// What came by the clock.
    pub occurrences: Vec<Occurrence>,
    /// The workers.
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
    /// Whether the fleet was of two versions.
    pub mixed: bool,
    /// The jobs of two versions that were acknowledged.
    pub shaped: Vec<Shaped>,
    /// The faults.
    pub faults: Vec<Fault>,
    /// When the server was started again.
    pub starts: Vec<DateTime<Utc>>,
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
            "select j.id, l.kind, j.args, j.unique_key, j.parent_id, j.requeued_from, j.created_at
             from engine.job j join engine.lane l on l.id = j.lane_id order by j.id",
        )
        .await?;
        let attempts: Vec<Attempt> = all(
            pool,
            "select job_id, attempt, worker_id, started_at, finished_at, outcome, category, error, output
             from engine.attempt order by job_id, attempt",
        )
        .await?;
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
                "select id, job_id, category, error_message, payload, resolved, resolved_by, requeued_job_id from engine.dead_letter_queue",
            )
            .await?,
            effects: grouped(effects, |effect| effect.program.clone()),
            progress: pairs(all(pool, "select job_id, done from engine.progress").await?),
            lines: grouped(
                all(pool, "select job_id, line from engine.log_line order by job_id, position").await?,
                |line: &(i64, String)| line.0,
            )
            .into_iter()
            .map(|(job, lines)| (job, lines.into_iter().map(|(_, line)| line).collect()))
            .collect(),
            events: pairs(all(pool, "select key, count(*) from engine.event group by key").await?),
            occurrences: all(pool, "select schedule, occurrence, job_id, how from engine.occurrence order by schedule, occurrence").await?,
            workers: all(pool, "select id, (info ->> 'pid')::bigint as pid, dead_at from engine.worker").await?,
            hooks: all(pool, "select webhook_id, raw_body, processing_status from raw_ops.webhook_inbox").await?,
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
            mixed: stage.fleet.is_mixed(),
            shaped: journal::read(&stage.folder, "shaped.")?,
            faults: journal::read(&stage.folder, "faults.")?,
            starts: stage.server.starts(),
            lives: journal::read(&stage.folder, "lives.")?,
            places: places(stage)?,
            observed,
        })
    }

    /// The job of a program, where there is one.
    pub fn job_of(&self, key: &str) -> Option<&Job> {
        self.by_key.get(key).and_then(|places| places.first()).map(|place| &self.jobs[*place])
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

    /// Whether a job that had its key taken away was ended for that; of one whose key is free again nobody knows by whom.
    pub fn was_displaced(&self, job: i64) -> bool {
        let of_nobody = |words: &str| words == "a newer job took its unique key over";
        let end = self.end_of(job).filter(|end| end.outcome == "cancelled");
        self.displaced_by(job).is_some() || end.and_then(|end| end.error.as_deref()).is_some_and(of_nobody)
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
    open.extend(acts.iter().filter_map(|act| match &act.what {
        Deed::Requeue(_, program) => Some(program.clone()),
        _ => None,
    }));
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
