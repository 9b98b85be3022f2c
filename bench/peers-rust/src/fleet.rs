//! Worker processes: this program started again. One ends when its standard input does, so none outlives the measurement.

use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::atomic::Ordering,
    time::Duration,
};

use anyhow::Context;

use crate::jobs::RAN;

/// A worker process.
pub struct WorkerProcess {
    child: Child,
    questions: ChildStdin,
    answers: ChildStdout,
}

impl WorkerProcess {
    /// Starts one. `role` is `work` or `work-steps`.
    pub fn start(peer: &str, url: &str, role: &str) -> anyhow::Result<Self> {
        let mut child =
            Command::new(std::env::current_exe()?).args([peer, url, role, "0"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let questions = child.stdin.take().context("its standard input is a pipe")?;
        let answers = child.stdout.take().context("its standard output is a pipe")?;
        Ok(Self { child, questions, answers })
    }

    /// Jobs that have run in it.
    fn ran(&mut self) -> anyhow::Result<u64> {
        let mut answer = [0; 8];
        self.questions.write_all(b"?")?;
        self.answers.read_exact(&mut answer)?;
        Ok(u64::from_le_bytes(answer))
    }

    /// Ends it.
    pub fn stop(self) -> anyhow::Result<()> {
        let Self { mut child, questions, answers } = self;
        drop((questions, answers));
        child.wait()?;
        Ok(())
    }
}

/// Waits until `least` jobs have run in the processes together; returns how many have.
pub async fn ran(workers: &mut [WorkerProcess], least: u64) -> anyhow::Result<u64> {
    loop {
        let told: u64 = workers.iter_mut().map(WorkerProcess::ran).sum::<anyhow::Result<u64>>()?;
        if told >= least {
            return Ok(told);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Answers each byte of standard input with the number of jobs that ran, and ends the process with it.
pub fn answer_questions() {
    std::thread::spawn(|| {
        let (mut input, mut output, mut question) = (std::io::stdin(), std::io::stdout(), [0]);
        while matches!(input.read(&mut question), Ok(1..)) {
            if output.write_all(&RAN.load(Ordering::Relaxed).to_le_bytes()).and_then(|()| output.flush()).is_err() {
                break;
            }
        }
        std::process::exit(0);
    });
}
