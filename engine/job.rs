//! What a job is: its kind, its arguments, how it may end, and how it is described to the queue.

mod check;
mod id;
mod options;
mod outcome;

use std::{future::Future, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    Isolation, Limit, Run, arguments,
    trace::{self, TraceParent},
    unique::Uniqueness,
};

pub use id::JobId;
pub use options::JobOptions;
pub use outcome::{JobResult, Outcome};

/// One kind of work: the value is the arguments, `run` is the work.
///
/// Arguments are ids and small facts. Personal data stays in the tables they point to, where erasure finds it.
///
/// ```
/// use std::time::Duration;
/// use engine::{Job, JobResult, Outcome, Run};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct SendReceipt {
///     order: i64,
/// }
///
/// impl Job for SendReceipt {
///     const KIND: &'static str = "shop.send_receipt";
///     const QUEUE: &'static str = "mail";
///     const TIMEOUT: Duration = Duration::from_secs(20);
///
///     async fn run(&self, run: &mut Run) -> JobResult {
///         // Another attempt may send it again: the provider knows it by this key.
///         let key = format!("receipt-{}", run.job_id());
///         send_mail(self.order, &key).await?;
///         Ok(Outcome::done())
///     }
/// }
/// # async fn send_mail(_: i64, _: &str) -> JobResult<()> { Ok(()) }
/// ```
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The stored name of the kind, `domain.verb_noun`. Renaming it strands the jobs already stored. Names of kinds and queues and
    /// limit keys have 1 to 500 bytes, no control character, and no blank at either end; others are refused wherever one comes in.
    const KIND: &'static str;
    /// The queue its jobs go to unless the producer says otherwise.
    const QUEUE: &'static str = "default";
    /// 0 runs first, 9 last. A worker of a kind with another one does not begin.
    const PRIORITY: i16 = 5;
    /// The version of the arguments' shape. Raise it with a change that old rows do not decode as, and let
    /// [`Job::upcast`] bring them along; a worker that does not know a version yet leaves the job to those that do.
    const VERSION: u32 = 1;
    /// The limits of its keys, as long as no operator says otherwise.
    const LIMITS: &'static [Limit] = &[];
    /// The outside system that it calls, by any name: kinds that call the same one are held together while it is down, and
    /// burn no attempts. What failed in one of the breaker's categories counts (network, timeout, upstream and rate_limited, if
    /// no operator says otherwise); see also [`Run::call_failed`].
    ///
    /// ```
    /// use engine::{Job, JobResult, Outcome, Run};
    ///
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct PostAlert { text: Option<String> }
    /// impl Job for PostAlert {
    ///     const KIND: &'static str = "alerts.post";
    ///     const CALLS: Option<&'static str> = Some("slack");
    ///
    ///     async fn run(&self, run: &mut Run) -> JobResult {
    ///         match &self.text {
    ///             // A failure of category `upstream`, say, counts against Slack.
    ///             Some(text) => post(text).await?,
    ///             // That all went well says nothing of Slack.
    ///             None => run.called_nothing(),
    ///         }
    ///         Ok(Outcome::done())
    ///     }
    /// }
    /// # async fn post(_: &str) -> JobResult<()> { Ok(()) }
    /// ```
    const CALLS: Option<&'static str> = None;
    /// How long one attempt may run before it fails with category `timeout`.
    const TIMEOUT: Duration = Duration::from_mins(5);
    /// Runs each attempt in a process of its own with these limits: for handlers that may exit, overflow the stack or eat
    /// all memory. It has no database, is ended without a word when it is to stop, and nobody sees its calls, so that a kind
    /// which is isolated has no [`Job::CALLS`]; see [`crate::isolated`].
    const ISOLATED: Option<Isolation> = None;

    /// Turns stored arguments of `version` into those of the next version; asked once for each version in between.
    ///
    /// ```
    /// use engine::{Job, JobResult, Kinds, Outcome, Run};
    /// use serde_json::{Value, json};
    ///
    /// /// Its first version had one name.
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Greet {
    ///     names: Vec<String>,
    /// }
    ///
    /// impl Job for Greet {
    ///     const KIND: &'static str = "demo.greet";
    ///     const VERSION: u32 = 2;
    ///
    ///     fn upcast(_version: u32, args: Value) -> Result<Value, String> {
    ///         Ok(json!({ "names": [args["name"].as_str().ok_or("there is no name")?] }))
    ///     }
    /// #   async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
    /// }
    ///
    /// let kinds = Kinds::new().with::<Greet>();
    /// assert_eq!(kinds.check("demo.greet", r#"{ "name": "Ada" }"#), Ok(()));
    /// assert_eq!(kinds.check("demo.greet", r#"{ "names": ["Ada"], "_version": 2 }"#), Ok(()));
    /// ```
    ///
    /// # Errors
    /// Why they cannot be: the job fails with category `validation`, and says so.
    fn upcast(version: u32, args: serde_json::Value) -> Result<serde_json::Value, String> {
        let _ = args;
        Err(format!("{} does not say what became of the arguments of version {version}", Self::KIND))
    }

    /// The JSON schema of the arguments (draft 2020-12, and whole in itself), for producers in other languages, who are held to it:
    /// [`crate::Kinds::fit`]. By default it says nothing of them.
    ///
    /// ```
    /// use engine::{Job, JobResult, Kinds, Outcome, Run};
    /// use serde_json::{Value, json};
    ///
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Reserve { pieces: u32 }
    /// impl Job for Reserve {
    ///     const KIND: &'static str = "stock.reserve";
    ///
    ///     fn schema() -> Value {
    ///         json!({ "type": "object", "properties": { "pieces": { "type": "integer", "minimum": 1 } } })
    ///     }
    /// #   async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
    /// }
    ///
    /// let kinds = Kinds::new().with::<Reserve>();
    /// assert_eq!(kinds.fit("stock.reserve", r#"{ "pieces": 2 }"#), Ok(()));
    /// assert!(kinds.fit("stock.reserve", r#"{ "pieces": 0 }"#).is_err());
    /// ```
    fn schema() -> serde_json::Value {
        true.into()
    }

    /// Does the work once. It may run again after a crash, so effects are keyed or transactional.
    ///
    /// # Errors
    /// A [`Failure`](crate::Failure) names its category; the retry policy decides what follows.
    fn run(&self, run: &mut Run) -> impl Future<Output = JobResult> + Send;
}

/// A job about to be enqueued.
///
/// ```
/// use std::time::Duration;
/// use engine::NewJob;
/// # use engine::{Job, JobResult, Outcome, Run};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct SendReceipt { order: i64 }
/// # impl Job for SendReceipt {
/// #     const KIND: &'static str = "shop.send_receipt";
/// #     const QUEUE: &'static str = "mail";
/// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
/// # }
///
/// let now = chrono::Utc::now();
/// let job = NewJob::of(&SendReceipt { order: 7 })?
///     .priority(2)
///     .delay(Duration::from_mins(10))
///     .deadline(now + Duration::from_hours(24))
///     .max_attempts(3);
/// assert_eq!(job.lane(), ("mail", "shop.send_receipt", 2));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct NewJob {
    pub(crate) kind: String,
    pub(crate) args: Box<RawValue>,
    pub(crate) queue: String,
    pub(crate) priority: i16,
    pub(crate) run_at: Option<DateTime<Utc>>,
    pub(crate) delay: Option<Duration>,
    pub(crate) deadline: Option<DateTime<Utc>>,
    pub(crate) unique: Uniqueness,
    pub(crate) idempotency_key: Option<(String, String)>,
    pub(crate) limit_key: Option<String>,
    pub(crate) max_attempts: Option<i16>,
    pub(crate) parent: Option<JobId>,
    pub(crate) trace_parent: Option<TraceParent>,
    pub(crate) outlives_parent: bool,
}

impl NewJob {
    /// Describes `job` with its kind's queue and priority.
    ///
    /// # Errors
    /// When the arguments do not serialise to JSON, or have a version and are no object.
    pub fn of<J: Job>(job: &J) -> Result<Self, serde_json::Error> {
        Ok(Self::raw(J::KIND, arguments::encode(job)?).queue(J::QUEUE).priority(J::PRIORITY))
    }

    /// Describes a job of a kind that this program need not know. It goes to the queue `default` with priority 5 unless others are
    /// said, whatever the kind's own are, so that it waits for ever where no worker of the kind serves that queue. Kinds that the
    /// program has are described by [`NewJob::of`] and [`crate::Kinds::job`], which say both; `engine.enqueue` in SQL takes them from
    /// what the kind's workers wrote down.
    ///
    /// ```
    /// use engine::NewJob;
    /// use serde_json::value::RawValue;
    ///
    /// let args = RawValue::from_string(r#"{ "order": 7 }"#.into())?;
    /// // Another program's, which serves this queue.
    /// let job = NewJob::raw("shop.send_receipt", args).queue("mail");
    /// assert_eq!(job.lane(), ("mail", "shop.send_receipt", 5));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn raw(kind: impl Into<String>, args: Box<RawValue>) -> Self {
        Self {
            kind: kind.into(),
            args,
            queue: "default".into(),
            priority: 5,
            run_at: None,
            delay: None,
            deadline: None,
            unique: Uniqueness::default(),
            idempotency_key: None,
            limit_key: None,
            max_attempts: None,
            parent: None,
            trace_parent: None,
            outlives_parent: false,
        }
    }

    /// What it asks for that a job has not which is only described now, and enqueued by somebody else when its turn comes.
    pub(crate) fn asks_beyond_later(&self) -> Option<&'static str> {
        let time = (self.run_at.is_some() || self.delay.is_some()).then_some("a time");
        self.key_of_its_own().or(time).or(self.deadline.map(|_| "a deadline"))
    }

    /// The key by which it is told from others, in words.
    pub(crate) const fn key_of_its_own(&self) -> Option<&'static str> {
        if self.idempotency_key.is_some() {
            Some("an idempotency key")
        } else if self.unique.key.is_some() || self.unique.by_args || self.unique.is_special() {
            Some("a unique key")
        } else {
            None
        }
    }

    /// Sends it to another queue than its kind's; see [`Job::KIND`] for what is a name.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = queue.into();
        self
    }

    /// 0 runs first, 9 last. Any other is refused when the job is enqueued.
    #[must_use]
    pub const fn priority(mut self, priority: i16) -> Self {
        self.priority = priority;
        self
    }

    /// Not before this time, by the database's clock.
    #[must_use]
    pub const fn run_at(mut self, at: DateTime<Utc>) -> Self {
        self.run_at = Some(at);
        self.delay = None;
        self
    }

    /// Not before so long after it is enqueued, both by the database's clock: ten years at most. Of this and [`NewJob::run_at`] the last
    /// that is said counts.
    #[must_use]
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.run_at = None;
        self.delay = Some(delay);
        self
    }

    /// Worth nothing after this time, by the database's clock: no attempt begins after it. A job that has not started by
    /// then ends as cancelled, of category `deadline`; one that fails and could not be tried again in time is dead at once.
    #[must_use]
    pub const fn deadline(mut self, at: DateTime<Utc>) -> Self {
        self.deadline = Some(at);
        self
    }

    /// Makes a retried enqueue safe: the same producer and key return the same job, even after it ended.
    #[must_use]
    pub fn idempotency_key(mut self, producer: impl Into<String>, key: impl Into<String>) -> Self {
        self.idempotency_key = Some((producer.into(), key.into()));
        self
    }

    /// Counts against the limit of this key, such as `shop:42`: of all jobs with the key, of whatever kind, so many run
    /// at once as its limit says, in the order in which they came. See [`Limit`], and [`Job::KIND`] for what is a name.
    ///
    /// ```
    /// use engine::{Job, JobResult, Limit, NewJob, Outcome, Run};
    ///
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct CallShop { shop: u32 }
    /// impl Job for CallShop {
    ///     const KIND: &'static str = "demo.call_shop";
    ///     const LIMITS: &'static [Limit] = &[Limit::of_key("shop:*").at_once(2)];
    /// #   async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
    /// }
    ///
    /// // Two calls of shop 42 at once; those of shop 43 do not wait for them.
    /// let job = NewJob::of(&CallShop { shop: 42 })?.limit_key("shop:42");
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn limit_key(mut self, key: impl Into<String>) -> Self {
        self.limit_key = Some(key.into());
        self
    }

    /// A cap on attempts under the retry policy's own, from 1; any other is refused when the job is enqueued.
    #[must_use]
    pub const fn max_attempts(mut self, attempts: i16) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// The job on whose behalf it is made.
    #[must_use]
    pub const fn parent(mut self, parent: JobId) -> Self {
        self.parent = Some(parent);
        self
    }

    /// The trace that it belongs to, by the header `traceparent` of W3C, and `tracestate` behind a blank where there is one; unless it is
    /// said, that of [`trace::current`]. What is no such header is left out: it is no reason to refuse the job.
    #[must_use]
    pub fn trace_parent(mut self, header: &str) -> Self {
        self.trace_parent = header.parse().ok();
        self
    }

    /// As the child of a workflow: goes on when the workflow is cancelled or dies, which otherwise cancels it.
    #[must_use]
    pub const fn outlives_parent(mut self) -> Self {
        self.outlives_parent = true;
        self
    }

    /// The trace that it belongs to.
    pub(crate) fn trace(&self) -> Option<TraceParent> {
        self.trace_parent.clone().or_else(trace::current)
    }

    /// Of this trace, unless it says another.
    pub(crate) fn or_of_trace(mut self, trace: Option<TraceParent>) -> Self {
        self.trace_parent = self.trace_parent.or(trace);
        self
    }

    /// The same, as an attempt of `parent` makes it that stands at this place in a trace.
    pub(crate) fn on_behalf_of(&self, parent: JobId, place: Option<TraceParent>) -> Self {
        self.clone().parent(parent).or_of_trace(trace::current().or(place))
    }

    /// Its queue, kind and priority.
    pub fn lane(&self) -> (&str, &str, i16) {
        (&self.queue, &self.kind, self.priority)
    }
}

/// The answer to an enqueue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Enqueued {
    /// The job: new, or the one that already holds the key.
    pub id: JobId,
    /// Whether this call made it.
    pub created: bool,
    /// How many jobs of its queue may run now, as counted a second ago.
    #[sqlx(default)]
    pub queue_depth: i64,
    /// For how many milliseconds the first of them has been there.
    #[sqlx(default)]
    pub queue_age_ms: i64,
}
