//! The side of the process that runs one job.

use std::{
    fs::File,
    io::{self, Read, Write},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{fcntl_dupfd_cloexec, retry_on_intr},
    process::getpid,
    stdio::{dup2_stdin, dup2_stdout, stderr, stdin, stdout},
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{Answer, CHILD, Isolation, Order, end_group};
use crate::{
    Failure, Kinds, Run,
    run::{self, Heard, Stop},
    tx::Undecided,
    worker::panic_trace,
    workflow::Course,
};

/// Runs the job and ends the process, if this process was started for one; returns at once otherwise.
///
/// Call it first thing in `main`, with the kinds that the worker has.
pub async fn serve(kinds: &Kinds) {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let code = match run_order(kinds).await {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            1
        }
    };
    std::process::exit(code);
}

async fn run_order(kinds: &Kinds) -> io::Result<()> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let (mark, order): (String, Order) = serde_json::from_str(&line)?;
    let (worker, mut out) = keep_pipes()?;
    let (silence, last_word) = (Duration::from_millis(order.silence_ms), (out.try_clone()?, Answer::Abandoned.marked(&mark)?));
    std::thread::spawn(move || end_with(worker, silence, last_word));
    limit(order.limits)?;
    panic_trace::install();
    let answer = Answer::from(match kinds.get(&order.kind) {
        Some(kind) => panic_trace::catch((kind.handler)(order.args.clone(), run_of(&order, kinds)))
            .await
            .unwrap_or_else(|panic| Err(Failure::bug(format!("the handler panicked: {panic}")))),
        None => Err(Failure::bug(format!("the program that was started for it knows no kind {}", order.kind))),
    });
    out.write_all(answer.marked(&mark)?.as_bytes())
}

/// Ends this process and what it has started when its worker is gone, or has given no sign of life for so long that the job
/// may soon be another's.
fn end_with(mut worker: File, silence: Duration, (mut out, last_word): (File, String)) {
    while let Some(is_heard) = is_heard(&mut worker, silence) {
        if !is_heard {
            // What an answer has filled takes no more until the worker reads it.
            if poll(&mut [PollFd::new(&out, PollFlags::OUT)], Some(&Timespec::default())).is_ok_and(|ready| ready > 0) {
                let _ = out.write_all(last_word.as_bytes());
            }
            break;
        }
    }
    end_group(getpid());
    std::process::exit(1);
}

/// Whether the worker gives a sign of life within this time; `None` when it is gone, or does not want the answer any more.
fn is_heard(worker: &mut File, within: Duration) -> Option<bool> {
    let within = Timespec::try_from(within).ok()?;
    let ready = retry_on_intr(|| poll(&mut [PollFd::new(&*worker, PollFlags::IN)], Some(&within))).ok()?;
    if ready == 0 {
        return Some(false);
    }
    matches!(worker.read(&mut [0; 64]), Ok(1..)).then_some(true)
}

/// Keeps the ways from and to the worker for this process alone: what a handler starts finds its input empty, and whatever is
/// printed goes where the last words go, so that it never comes between the answer.
fn keep_pipes() -> io::Result<(File, File)> {
    const ABOVE_ERR: i32 = 3;
    let kept = (fcntl_dupfd_cloexec(stdin(), ABOVE_ERR)?, fcntl_dupfd_cloexec(stdout(), ABOVE_ERR)?);
    dup2_stdin(File::open("/dev/null")?)?;
    dup2_stdout(stderr())?;
    Ok((kept.0.into(), kept.1.into()))
}

fn limit(limits: Isolation) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    // Nobody may raise what he was given himself.
    let limit = |resource, current: u64, maximum: u64| {
        let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        setrlimit(resource, Rlimit { current: Some(current.min(most)), maximum: Some(maximum.min(most)) })
    };
    limit(Resource::Core, 0, 0)?;
    limit(Resource::Data, limits.memory_mib << 20, limits.memory_mib << 20)?;
    // The first ends it with a signal that says why, the second without.
    limit(Resource::Cpu, limits.cpu_seconds, limits.cpu_seconds + 1)?;
    Ok(())
}

/// An attempt as an isolated handler sees it: who it is, and no way to the database.
fn run_of(&Order { ref kind, worker_id, job_id, attempt, ref trace, .. }: &Order, kinds: &Kinds) -> Run {
    let nowhere = PgConnectOptions::new_without_pgpass().host("isolated.invalid");
    Run {
        pool: PgPoolOptions::new().acquire_timeout(Duration::from_millis(1)).connect_lazy_with(nowhere),
        worker_id,
        claim_id: 0,
        kind: kinds.get(kind).map_or("", |kind| kind.name),
        job_id,
        attempt,
        trace: trace.clone(),
        started: Instant::now(),
        fate: run::Fate::default(),
        isolated: true,
        shared: kinds.shared.clone(),
        stop: Stop::default(),
        course: Course::default(),
        heard: Heard::default(),
        undecided: Undecided::default(),
        telling: tokio::sync::Mutex::default(),
    }
}
