//! Jobs in a process of their own: for handlers that may overflow the stack, exit, or eat all memory, such as those that
//! read files of strangers.
//!
//! The worker starts its own program again, which calls [`serve`] first thing in `main`; the job goes in over standard
//! input and its answer comes out over standard output. The child has limits of memory and time, nothing of the
//! environment but where programs and temporary files are, and no database: what it finds it returns. What it prints goes to
//! the log's end that a failure keeps. What it starts itself is in its process group, and ends with it.
//!
//! The child ends with its worker, or as soon as the attempt is to stop, and is not asked before. A worker that is stopped by a
//! signal cannot end it: it gives the child signs of life, and without them the child ends before the worker's lease does, if that
//! was renewed in time so far. One that is cut off from the database gives them, and its child goes on, as a thread does.
//!
//! ```no_run
//! use engine::{Isolation, Job, JobResult, Kinds, Outcome, Run, Worker, WorkerConfig, isolated};
//!
//! # #[derive(serde::Serialize, serde::Deserialize)]
//! # struct ReadInvoice { file: String }
//! impl Job for ReadInvoice {
//!     const KIND: &'static str = "invoices.read";
//!     const ISOLATED: Option<Isolation> = Some(Isolation { memory_mib: 256, cpu_seconds: 20 });
//!
//!     async fn run(&self, _: &mut Run) -> JobResult {
//!         Ok(Outcome::Done(text_of(&self.file)?.into()))
//!     }
//! }
//! # fn text_of(file: &str) -> JobResult<String> { Ok(file.into()) }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let kinds = Kinds::new().with::<ReadInvoice>();
//!     // In a process that was started for a job, this does not return.
//!     isolated::serve(&kinds).await;
//!     let pool = engine::pool_options().connect("postgres://localhost/demo").await?;
//!     Ok(Worker::new(pool, kinds, WorkerConfig::default()).run(Default::default()).await?)
//! }
//! ```

mod child;

use std::{
    convert::Infallible,
    fs::File,
    io::{self, Write},
    pin::pin,
    process::{ExitStatus, Stdio},
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    time::Duration,
};

use futures_util::future::{Either, select};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, ChildStdin, Command},
};
use tokio_util::sync::CancellationToken;

pub use child::serve;

use crate::{Category, Failure, JobId, JobResult, Outcome, run::Fate, trace::TraceParent};

/// Tells a child what it is for.
const CHILD: &str = "RAWOPS_ISOLATED_JOB";
/// What a child may answer.
const ANSWER: usize = 4 << 20;
/// How much of its last words on standard error a failure keeps.
const LAST_WORDS: usize = 4096;
/// How much longer than a child its pipes are read.
const READ_AFTER: Duration = Duration::from_secs(1);
/// When a job comes up again for which no process could be started.
const STARTED_AGAIN: Duration = Duration::from_secs(5);
/// How many signs of life a child must miss.
const SIGNS: u64 = 5;
/// The stack of the thread that gives them, in bytes.
const STACK: usize = 64 << 10;
/// What a child keeps of its worker's environment.
const KEPT: [&str; 6] = ["PATH", "HOME", "TMPDIR", "TZ", "LANG", "RUST_BACKTRACE"];

/// Whether this process was started for a job.
pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// What a job in a process of its own may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// Memory for its data, in MiB; the program itself takes some 20 of them.
    pub memory_mib: u64,
    /// Time on the processor, in seconds. The attempt's own timeout counts time on the clock.
    pub cpu_seconds: u64,
}

/// What a child is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) kind: String,
    pub(crate) args: String,
    pub(crate) worker_id: i64,
    pub(crate) job_id: JobId,
    pub(crate) attempt: i32,
    pub(crate) trace: Option<TraceParent>,
    pub(crate) limits: Isolation,
    /// For so long it goes on without a sign of life of its worker, in milliseconds: less than a lease.
    pub(crate) silence_ms: u64,
}

impl Order {
    /// How long a child of a worker with this lease goes on without a sign of life: the lease was renewed within a quarter of
    /// it before the last one.
    pub(crate) fn silence_ms(lease: Duration) -> u64 {
        lease.as_millis() as u64 * 5 / 8
    }
}

/// What a child answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Done(Value),
    SnoozeMs(u64),
    Cancel(String),
    Failed {
        category: String,
        message: String,
        retry_after_ms: Option<u64>,
    },
    /// Its worker gave no sign of life.
    Abandoned,
}

impl Answer {
    /// It as the worker knows it, on a line of its own, whatever was printed before the order came.
    fn marked(&self, mark: &str) -> io::Result<String> {
        Ok(format!("\n{mark}{}\n", serde_json::to_string(self)?))
    }
}

impl From<JobResult> for Answer {
    fn from(result: JobResult) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        match result {
            Ok(Outcome::Done(output)) => Self::Done(output),
            Ok(Outcome::Snooze(time)) => Self::SnoozeMs(ms(time)),
            Ok(Outcome::Cancel(reason)) => Self::Cancel(reason),
            Err(failure) => Self::Failed {
                category: failure.category.as_str().into(),
                message: failure.message,
                retry_after_ms: failure.retry_after.map(ms),
            },
        }
    }
}

/// What a child's answer is to its worker.
fn heard(answer: Answer, fate: &Fate) -> JobResult {
    match answer {
        Answer::Done(output) => Ok(Outcome::Done(output)),
        Answer::SnoozeMs(ms) => Ok(Outcome::Snooze(Duration::from_millis(ms))),
        Answer::Cancel(reason) => Ok(Outcome::Cancel(reason)),
        Answer::Failed { category, message, retry_after_ms } => {
            let retry_after = retry_after_ms.map(Duration::from_millis);
            Err(Failure { retry_after, ..Failure::new(Category::of(&category), message) })
        }
        Answer::Abandoned => Err(fate.give_back()),
    }
}

/// Runs a job in a child, which ends with this future, with this process, or when it is to stop; so does all that it started. It
/// is gone when this returns.
pub(crate) async fn run(order: Order, arguments: Arc<[String]>, stop: CancellationToken, lost: CancellationToken, fate: Fate) -> JobResult {
    let mark = uuid::Uuid::new_v4().to_string();
    let told = format!("{}\n", serde_json::to_string(&(&mark, &order))?);
    let (child, signs) = match start(&arguments).and_then(|child| speak(child, told, order.silence_ms, lost)) {
        Ok(started) => started,
        // That is its worker's fault and not the job's: it burns no attempt.
        Err(error) => {
            tracing::warn!(job.id = %order.job_id, job.kind = order.kind, %error, "no process can be started for a job: it waits");
            return Ok(Outcome::Snooze(STARTED_AGAIN));
        }
    };
    let group = Group::of(&child);
    let (mut answered, mut words) = (Vec::new(), Vec::new());
    let ended = until_end(child, group, stop, &mut answered, &mut words).await;
    let status = ended.map_err(|error| Failure::unknown(format!("the job's process cannot be waited for: {error}")))?;
    drop(signs);
    if answered.len() > ANSWER {
        return Err(Failure::bug(format!("the handler answered more than {ANSWER} bytes")));
    }
    let text = String::from_utf8_lossy(&answered);
    // One that was ended while it answered has not.
    let answer = text.lines().find_map(|line| serde_json::from_str::<Answer>(line.strip_prefix(&mark)?).ok());
    answer.map_or_else(|| Err(without_answer(status, order.limits, String::from_utf8_lossy(&words).trim())), |answer| heard(answer, &fate))
}

/// Tells a child what it is to do, and gives it signs of life until what is returned is dropped, or the worker's lease is lost. They are
/// a thread's, which no handler can starve. A child that has ended already is none to tell, and says why by its end.
fn speak(mut child: Child, told: String, silence_ms: u64, lost: CancellationToken) -> io::Result<(Child, mpsc::Sender<Infallible>)> {
    let mut input = File::from(child.stdin.take().map(ChildStdin::into_owned_fd).expect("its input is a pipe")?);
    let (wanted, unwanted) = mpsc::channel();
    let each = Duration::from_millis(silence_ms / SIGNS);
    let speak = move || {
        let mut word = told.as_bytes();
        while input.write_all(word).is_ok() && matches!(unwanted.recv_timeout(each), Err(RecvTimeoutError::Timeout)) && !lost.is_cancelled()
        {
            word = b"\n";
        }
    };
    std::thread::Builder::new().name("signs of life".into()).stack_size(STACK).spawn(speak)?;
    Ok((child, wanted))
}

fn start(arguments: &[String]) -> io::Result<Child> {
    // By this name it is the program that runs, also after a newer one was put in its place.
    let program = if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
    Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// The process group of a child, which leads it. Whoever is in it ends with this.
struct Group(Pid);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(id as i32)).expect("a child has a number until it was waited for"))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        end_group(self.0);
    }
}

fn end_group(leader: Pid) {
    // Gone already is what is wanted.
    let _ = kill_process_group(leader, Signal::KILL);
}

/// Waits for the end of a child, which is now when it is to stop, and keeps what it said.
async fn until_end(
    mut child: Child,
    group: Group,
    stop: CancellationToken,
    answered: &mut Vec<u8>,
    words: &mut Vec<u8>,
) -> io::Result<ExitStatus> {
    let (out, err, leader) = (child.stdout.take(), child.stderr.take(), group.0);
    let reading = pin!(async { tokio::join!(read_answer(out, answered, leader), read_words(err, words)) });
    let waiting = pin!(async {
        if stop.run_until_cancelled(child.wait()).await.is_none() {
            end_group(leader);
        }
        child.wait().await
    });
    match select(waiting, reading).await {
        Either::Left((status, reading)) => {
            drop(group);
            // Somebody who has left the group may hold the pipes for ever.
            let _ = tokio::time::timeout(READ_AFTER, reading).await;
            status
        }
        Either::Right((_, waiting)) => waiting.await,
    }
}

/// Reads what a child answers; when that is too much, it is the end of it.
async fn read_answer(out: Option<impl AsyncRead + Unpin>, answered: &mut Vec<u8>, leader: Pid) {
    if let Some(out) = out {
        // What is lost with a broken pipe was no answer.
        let _ = out.take(ANSWER as u64 + 1).read_to_end(answered).await;
    }
    if answered.len() > ANSWER {
        end_group(leader);
    }
}

/// Reads the last that a child says.
async fn read_words(err: Option<impl AsyncRead + Unpin>, words: &mut Vec<u8>) {
    let mut piece = [0; 4096];
    if let Some(mut err) = err {
        while let Ok(read @ 1..) = err.read(&mut piece).await {
            words.extend_from_slice(&piece[..read]);
            words.drain(..words.len().saturating_sub(LAST_WORDS));
        }
    }
}

/// Why a child that gave no answer ended.
fn without_answer(status: ExitStatus, limits: Isolation, words: &str) -> Failure {
    use std::os::unix::process::ExitStatusExt;
    const OUT_OF_TIME: i32 = Signal::XCPU.as_raw();
    let said = if words.is_empty() { String::new() } else { format!("\n{words}") };
    match (status.signal(), status.code()) {
        (Some(OUT_OF_TIME), _) => Failure::timeout(format!("the handler used {} s of processor time{said}", limits.cpu_seconds)),
        (Some(signal), _) => Failure::bug(format!("the handler's process was ended by signal {signal}{said}")),
        (_, code) => Failure::bug(format!("the handler exited its process with code {}{said}", code.unwrap_or_default())),
    }
}
