//! The kinds of job that a program can run.

use std::{
    any::Any,
    collections::HashMap,
    future::Future,
    panic::{UnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use serde::Serialize;
use serde_json::{Value, value::RawValue};

use crate::{
    Failure, Job, JobResult, Limit, NewJob, Outcome, Run,
    arguments::{self, Undecodable},
    isolated::Isolation,
    schema::{Schema, cut},
    shared::Shared,
    together::{Gatherer, Together},
    worker::panic_trace,
    workflow::{Batch, Unwind},
};

/// How long a job that only a newer program understands waits for one.
const LEFT_TO_OTHERS: Duration = Duration::from_secs(30);
/// The most bytes of a panic that are told to whoever sent what caused it.
const PANIC_BYTES: usize = 300;

type Handler = Arc<dyn Fn(String, Run) -> Pin<Box<dyn Future<Output = JobResult> + Send>> + Send + Sync>;

/// One kind, its argument type erased.
#[derive(Clone)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) queue: &'static str,
    pub(crate) priority: i16,
    pub(crate) timeout: Duration,
    pub(crate) isolated: Option<Isolation>,
    /// The outside system that it calls.
    pub(crate) calls: Option<&'static str>,
    pub(crate) handler: Handler,
    pub(crate) decodes: fn(&str) -> Result<(), Undecodable>,
    todays: fn(&str) -> Result<Value, Undecodable>,
    schema: Schema,
    pub(crate) describe: fn() -> KindInfo,
}

/// A kind as producers see it.
#[derive(Debug, Clone, Serialize)]
pub struct KindInfo {
    /// Its name.
    pub name: &'static str,
    /// The queue its jobs go to.
    pub queue: &'static str,
    /// Their priority: 0 runs first, 9 last.
    pub priority: i16,
    /// The version of the arguments' shape.
    pub version: u32,
    /// The JSON schema of the arguments.
    pub schema: Value,
}

/// The kinds of job that a program can run: what a worker claims, and nothing else.
///
/// ```
/// use engine::Kinds;
/// use serde_json::value::RawValue;
/// # use engine::{Job, JobResult, Outcome, Run};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct SendReceipt { order: i64 }
/// # impl Job for SendReceipt {
/// #     const KIND: &'static str = "shop.send_receipt";
/// #     const QUEUE: &'static str = "mail";
/// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
/// # }
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Sweep {}
/// # impl Job for Sweep {
/// #     const KIND: &'static str = "yard.sweep";
/// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
/// # }
///
/// let kinds = Kinds::new().with::<SendReceipt>().with::<Sweep>();
/// assert_eq!(kinds.names(), ["shop.send_receipt", "yard.sweep"]);
/// assert_eq!(kinds.queues(), ["default", "mail"]);
///
/// // What somebody else asks for, by name.
/// let job = kinds.job("shop.send_receipt", RawValue::from_string(r#"{ "order": 7 }"#.into())?)?;
/// assert_eq!(job.lane(), ("mail", "shop.send_receipt", 5));
/// assert!(kinds.job("shop.send_receipt", RawValue::from_string(r#"{ "order": "seven" }"#.into())?).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Kinds {
    by_name: HashMap<&'static str, Kind>,
    pub(crate) shared: Shared,
    limits: Vec<Limit>,
    /// With which this program, started again, comes to [`crate::isolated::serve`].
    pub(crate) child_arguments: Arc<[String]>,
}

impl Kinds {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind.
    ///
    /// # Panics
    /// When two types claim one name, a kind is isolated and calls an outside system, or a limit is declared in two ways: mistakes in the
    /// program, found at its start.
    #[must_use]
    pub fn with<J: Job>(self) -> Self {
        self.add::<J>(Arc::new(|args, run| Box::pin(decode_and_run(args, run, async |job: J, mut run| job.run(&mut run).await))))
    }

    /// Adds a kind whose jobs are worked on many in one call.
    ///
    /// # Panics
    /// As [`Kinds::with`], and when the kind is isolated: its jobs have a process each.
    #[must_use]
    pub fn with_together<J: Together>(self) -> Self {
        assert!(J::ISOLATED.is_none(), "jobs of {} are isolated, so they cannot be worked on together", J::KIND);
        let gatherer = Gatherer::<J>::new();
        self.add::<J>(Arc::new(move |args, run| {
            let gatherer = gatherer.clone();
            Box::pin(decode_and_run(args, run, async |job, run| gatherer.run(job, run).await))
        }))
    }

    /// Hands a value to every handler, which finds it by its type: [`Run::shared`]. For clients of outside systems and
    /// settings; a second value of one type takes the place of the first.
    ///
    /// ```
    /// use engine::{Job, JobResult, Kinds, Outcome, Run};
    ///
    /// struct Mailer {
    ///     from: String,
    /// }
    ///
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct SendReceipt { order: i64 }
    /// impl Job for SendReceipt {
    ///     const KIND: &'static str = "shop.send_receipt";
    ///
    ///     async fn run(&self, run: &mut Run) -> JobResult {
    ///         let mailer: &Mailer = run.shared()?;
    ///         println!("the receipt of order {} comes from {}", self.order, mailer.from);
    ///         Ok(Outcome::done())
    ///     }
    /// }
    ///
    /// let kinds = Kinds::new().with::<SendReceipt>().sharing(Mailer { from: "shop@example.com".into() });
    /// ```
    #[must_use]
    pub fn sharing<T: Any + Send + Sync>(self, value: T) -> Self {
        Self { shared: self.shared.with(value), ..self }
    }

    /// The arguments with which this program, started again for an isolated job, comes to [`crate::isolated::serve`]. Needed
    /// only where that is not the first thing in `main`.
    #[must_use]
    pub fn isolated_with(self, arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { child_arguments: arguments.into_iter().map(Into::into).collect(), ..self }
    }

    /// These and the engine's own, which every worker knows.
    pub(crate) fn with_own(self) -> Self {
        self.with::<Unwind>().with::<Batch>()
    }

    fn add<J: Job>(mut self, handler: Handler) -> Self {
        assert!(
            J::ISOLATED.is_none() || J::CALLS.is_none(),
            "jobs of {} are isolated, and nobody sees what became of their calls",
            J::KIND
        );
        let kind = Kind {
            name: J::KIND,
            queue: J::QUEUE,
            priority: J::PRIORITY,
            timeout: J::TIMEOUT,
            isolated: J::ISOLATED,
            calls: J::CALLS,
            handler,
            decodes: decodes::<J>,
            todays: arguments::todays::<J>,
            schema: Schema::new(J::schema),
            describe: describe::<J>,
        };
        assert!(self.by_name.insert(J::KIND, kind).is_none(), "two job types are called {}", J::KIND);
        J::LIMITS.iter().fold(self, |kinds, limit| kinds.limit(*limit))
    }

    /// Declares a limit, as [`Job::LIMITS`] does for a kind; workers write it down when they begin.
    ///
    /// # Panics
    /// When two declarations of one limit differ: a mistake in the program, found at its start.
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        match self.limits.iter().find(|known| (known.scope, known.name) == (limit.scope, limit.name)) {
            Some(known) => assert!(*known == limit, "the limit {} is declared twice, and not the same", limit.name),
            None => self.limits.push(limit),
        }
        self
    }

    /// The declared limits.
    pub(crate) fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// The names of the kinds, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.by_name.keys().map(ToString::to_string).collect();
        names.sort_unstable();
        names
    }

    /// The queues the kinds go to by default, sorted.
    pub fn queues(&self) -> Vec<String> {
        let mut queues: Vec<_> = self.by_name.values().map(|kind| kind.queue.to_string()).collect();
        queues.sort_unstable();
        queues.dedup();
        queues
    }

    /// A kind as producers see it.
    pub fn describe(&self, name: &str) -> Option<KindInfo> {
        self.by_name.get(name).map(|kind| (kind.describe)())
    }

    /// Every kind as producers see it, sorted by name.
    pub fn describe_all(&self) -> Vec<KindInfo> {
        let mut kinds: Vec<_> = self.by_name.values().map(|kind| (kind.describe)()).collect();
        kinds.sort_unstable_by_key(|kind| kind.name);
        kinds
    }

    /// A job of the kind of this name, with its queue and priority, as somebody else than a program of this house asks for it; see
    /// [`Kinds::fit`].
    ///
    /// # Errors
    /// What is wrong with the arguments.
    pub fn job(&self, name: &str, args: Box<RawValue>) -> Result<NewJob, String> {
        let kind = self.known(name)?;
        fit(kind, name, args.get())?;
        Ok(NewJob::raw(name, args).queue(kind.queue).priority(kind.priority))
    }

    /// Whether arguments that come from outside are as the kind's schema says, and decode. The one place where that is asked: what a
    /// program of this house makes has its type, and what is stored is only decoded.
    ///
    /// # Errors
    /// Where they are wrong, and why, in a few words that hold none of their values.
    pub fn fit(&self, name: &str, args: &str) -> Result<(), String> {
        fit(self.known(name)?, name, args)
    }

    /// Whether this program can decode these stored arguments. A decoder that panics cannot.
    ///
    /// # Errors
    /// The decoder's words, or that the kind is unknown here.
    pub fn check(&self, kind: &str, args: &str) -> Result<(), String> {
        let decodes = self.known(kind)?.decodes;
        unpanicked(|| decodes(args))?.map_err(|error| error.to_string())
    }

    fn known(&self, name: &str) -> Result<&Kind, String> {
        self.by_name.get(name).ok_or_else(|| format!("this program knows no kind {name}"))
    }

    /// The lane each kind uses by default: queue, kind, priority.
    pub(crate) fn lanes(&self) -> Vec<(&str, &str, i16)> {
        let mut lanes: Vec<_> = self.by_name.iter().map(|(name, kind)| (kind.queue, *name, kind.priority)).collect();
        lanes.sort_unstable();
        lanes
    }

    /// The outside system that each kind calls, if it calls any; sorted by kind.
    pub(crate) fn calls(&self) -> Vec<(&'static str, Option<&'static str>)> {
        let mut calls: Vec<_> = self.by_name.iter().map(|(name, kind)| (*name, kind.calls)).collect();
        calls.sort_unstable();
        calls
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Kind> {
        self.by_name.get(name)
    }
}

fn fit(kind: &Kind, name: &str, args: &str) -> Result<(), String> {
    let (bring, decode) = (kind.todays, kind.decodes);
    let (brought, end) = unpanicked(|| (bring(args), decode(args))).map_err(|panic| cut(panic, PANIC_BYTES))?;
    let brought = brought.map_err(|refusal| refusal.to_sender())?;
    kind.schema.check(&brought).map_err(|faults| format!("the arguments do not fit the schema of {name}: {faults}"))?;
    end.map_err(|refusal| refusal.to_sender())
}

fn unpanicked<T>(decode: impl FnOnce() -> T + UnwindSafe) -> Result<T, String> {
    catch_unwind(decode).map_err(|panic| format!("decoding the arguments panics: {}", panic_trace::text(&*panic)))
}

fn describe<J: Job>() -> KindInfo {
    KindInfo { name: J::KIND, queue: J::QUEUE, priority: J::PRIORITY, version: J::VERSION, schema: J::schema() }
}

fn decodes<J: Job>(args: &str) -> Result<(), Undecodable> {
    arguments::decode::<J>(args).map(drop)
}

async fn decode_and_run<J: Job>(args: String, run: Run, act: impl AsyncFnOnce(J, Run) -> JobResult) -> JobResult {
    match arguments::decode::<J>(&args) {
        Ok(job) => act(job, run).await,
        Err(newer @ Undecodable::Newer { .. }) => {
            tracing::warn!(job.id = %run.job_id(), %newer, "left to a newer worker");
            Ok(Outcome::Snooze(LEFT_TO_OTHERS))
        }
        Err(malformed) => Err(Failure::validation(malformed.to_string())),
    }
}
