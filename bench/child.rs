//! Processes of the product, as a fleet has them: this program started again.
//!
//! A child ends when its standard input does, so none outlives the measurement.

use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::atomic::Ordering,
    time::Duration,
};

use anyhow::Context;
use clap::Subcommand;
use engine::{Worker, WorkerConfig};
use tokio_util::sync::CancellationToken;

use crate::kinds;

/// What a child is.
#[derive(Subcommand)]
pub enum Role {
    /// A worker of the kinds that are measured.
    #[command(hide = true)]
    Worker {
        #[arg(long)]
        database: String,
        #[arg(long)]
        concurrency: usize,
        #[arg(long)]
        batch: usize,
    },
    /// The HTTP process.
    #[command(hide = true)]
    Web {
        #[arg(long)]
        database: String,
        #[arg(long)]
        port: u16,
    },
}

/// The secret of the shop that sends the webhooks of the benchmark.
pub const SECRET: &str = "the-secret-of-the-benchmark";
/// The shop.
pub const SHOP: &str = "bench.myshopify.com";

impl Role {
    /// Runs until standard input ends.
    pub async fn run(self) -> anyhow::Result<()> {
        let stop = CancellationToken::new();
        let stopper = stop.clone();
        std::thread::spawn(move || {
            // Its end is what is waited for, whether it comes well or not.
            let _ = answer_questions();
            stopper.cancel();
        });
        match self {
            Self::Worker { database, concurrency, batch } => {
                let pool = engine::pool_options().max_connections(40).connect(&database).await?;
                let config = WorkerConfig { concurrency, batch, ..WorkerConfig::default() };
                Ok(Worker::new(pool, kinds::all(), config).run(stop).await?)
            }
            Self::Web { database, port } => {
                let pool = engine::pool_options().max_connections(16).connect(&database).await?;
                let config = web::Config::read(|name| match name {
                    "SHOPIFY_WEBHOOK_SECRET" => Some(SECRET.into()),
                    "SHOPIFY_SHOP_DOMAIN" => Some(SHOP.into()),
                    "PORT" => Some(port.to_string()),
                    _ => None,
                })?;
                Ok(web::serve(config, pool, stop).await?)
            }
        }
    }
}

/// Answers each byte of standard input with the number of jobs that came to their end, until there are no more.
fn answer_questions() -> std::io::Result<()> {
    let (mut input, mut output) = (std::io::stdin(), std::io::stdout());
    let mut question = [0];
    while input.read(&mut question)? > 0 {
        output.write_all(&kinds::RAN.load(Ordering::Relaxed).to_le_bytes())?;
        output.flush()?;
    }
    Ok(())
}

/// A worker process.
pub struct WorkerProcess {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
}

impl WorkerProcess {
    /// Starts one.
    pub fn start(database: &str, concurrency: usize, batch: usize) -> anyhow::Result<Self> {
        let mut child = program()?
            .args(["worker", "--database", database, "--concurrency", &concurrency.to_string(), "--batch", &batch.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("a child's output is a pipe")?;
        Ok(Self { input: child.stdin.take(), output, child })
    }

    /// Jobs that have run in it.
    pub fn ran(&mut self) -> anyhow::Result<u64> {
        let mut told = [0; 8];
        let asked = self.input.as_mut().context("a child's input is a pipe")?.write_all(&[0]);
        asked.and_then(|()| self.output.read_exact(&mut told)).context("a worker process ended early")?;
        Ok(u64::from_le_bytes(told))
    }

    /// The most memory it has had, in MB.
    pub fn peak_memory(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib * 1024.0 / 1e6)
    }

    /// Lets it finish what it has, and waits for its end.
    pub fn stop(mut self) -> anyhow::Result<()> {
        drop(self.input.take());
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "a worker process ended with {status}");
        Ok(())
    }
}

/// The HTTP process.
pub struct WebProcess {
    child: Child,
    input: Option<ChildStdin>,
}

impl WebProcess {
    /// Starts one on a port of this machine, and waits until it listens.
    pub fn start(database: &str, port: u16) -> anyhow::Result<Self> {
        let mut child = program()?.args(["web", "--database", database, "--port", &port.to_string()]).stdin(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        for _ in 0..500 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(Self { child, input });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill()?;
        anyhow::bail!("the web process did not listen within 10 s")
    }

    /// Lets it finish what it has, and waits for its end.
    pub fn stop(mut self) -> anyhow::Result<()> {
        drop(self.input.take());
        self.child.wait()?;
        Ok(())
    }
}

fn program() -> anyhow::Result<Command> {
    Ok(Command::new(std::env::current_exe()?))
}
