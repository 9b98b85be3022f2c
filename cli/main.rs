//! The `rawops` command: one subcommand a file.

mod breakers;
mod database;
mod db;
mod dead;
mod doctor;
mod jobs;
mod limits;
mod logging;
mod migrate;
mod orders;
mod output;
mod pause;
mod processes;
mod queues;
mod retention;
mod retry;
mod schedules;
mod seed;
mod shutdown;
mod spans;
mod tokens;
mod up;
mod why;
mod workers;
mod workflows;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs the operations of Protocol Raw: durable jobs on PostgreSQL.
///
/// `rawops up` is all it takes on a new machine: it finds or fetches PostgreSQL, makes the database and starts every
/// process, with a sandbox shop that sends orders. In production the Procfile runs web, worker and scheduler.
#[derive(Parser)]
#[command(name = "rawops", version, arg_required_else_help = true, after_help = "Every variable is explained in .env.example.")]
struct Cli {
    /// PostgreSQL to use, as postgres://user@host/database; when there is none, the private server in .rawops
    #[arg(long, global = true, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything on this machine: PostgreSQL, web, worker, scheduler and a sandbox shop
    Up(up::Args),
    /// Run the HTTP process: webhooks in, health and metrics out
    Web,
    /// Run a worker process; as many as you like, on any machines
    Worker,
    /// Run a scheduler process; when several run, one fires
    Scheduler,
    /// Bring the database to this program's schema
    Migrate(migrate::Args),
    /// Fill the database with the past of a company: customers, orders, batches, parcels, tickets
    ///
    /// The rows are written in one transaction: a crash, or an interruption, leaves nothing behind. A database that has
    /// orders is refused unless --add is given. The same seed, number of orders and end give the same rows in a fresh
    /// database. No job is made: what waits in the end waits for people, for the laboratory or for stock.
    Seed(seed::Args),
    /// See, enqueue and stop jobs
    #[command(subcommand)]
    Jobs(jobs::Command),
    /// See which workers there are, and what they serve
    #[command(subcommand)]
    Workers(workers::Command),
    /// See how deep the queues are, and limit how deep they may become
    #[command(subcommand)]
    Queues(queues::Command),
    /// Say what keeps a job from running, and when it should start
    Why(why::Args),
    /// See and change how many jobs of a limit key run at once
    #[command(subcommand)]
    Limits(limits::Command),
    /// See which outside systems are called, hold their jobs, and change when a breaker opens
    #[command(subcommand)]
    Breakers(breakers::Command),
    /// Hold the jobs of a queue, a kind or a limit key: from now or for a maintenance window; what runs goes on
    Pause(pause::Pause),
    /// Let the jobs of a queue, a kind or a limit key go on
    Resume(pause::What),
    /// See workflows, emit events, run one again from a step
    #[command(subcommand)]
    Workflows(workflows::Command),
    /// See dead letters, run them again or put them away
    #[command(subcommand)]
    Dead(dead::Command),
    /// See, change and run what recurs
    #[command(subcommand)]
    Schedules(schedules::Command),
    /// See, change and try out what follows a failure
    #[command(subcommand)]
    Retry(retry::Command),
    /// See and change how long what has ended is kept
    #[command(subcommand)]
    Retention(retention::Command),
    /// Check every promise of the ledger on the live database: exit code 0 clean, 1 faults, 2 could not look
    Doctor(doctor::Args),
    /// Make, see and revoke the tokens of callers over HTTP
    #[command(subcommand)]
    Tokens(tokens::Command),
    /// Say of an order what only a person knows
    #[command(subcommand)]
    Orders(orders::Command),
    /// Look after the private PostgreSQL in .rawops
    #[command(subcommand)]
    Db(db::Command),
}

#[tokio::main]
async fn main() -> ExitCode {
    // The one that is compiled in; HTTP clients that are built without naming one take it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A worker starts this program again for a job that is to have a process of its own.
    engine::isolated::serve(&::jobs::kinds()).await;
    let cli = Cli::parse();
    let url = cli.database_url.as_deref();
    let ended = match cli.command {
        Command::Up(args) => spans::told(Box::pin(up::run(url, args))).await,
        Command::Web => spans::told(Box::pin(processes::web(url))).await,
        Command::Worker => spans::told(Box::pin(processes::worker(url))).await,
        Command::Scheduler => spans::told(Box::pin(processes::scheduler(url))).await,
        Command::Migrate(args) => migrate::run(url, &args).await,
        Command::Seed(args) => seed::run(url, &args).await,
        Command::Jobs(command) => jobs::run(url, command).await,
        Command::Workers(command) => workers::run(url, command).await,
        Command::Queues(command) => queues::run(url, command).await,
        Command::Why(args) => why::run(url, args).await,
        Command::Limits(command) => limits::run(url, command).await,
        Command::Breakers(command) => breakers::run(url, command).await,
        Command::Pause(args) => pause::pause(url, args).await,
        Command::Resume(args) => pause::resume(url, args).await,
        Command::Workflows(command) => workflows::run(url, command).await,
        Command::Dead(command) => dead::run(url, command).await,
        Command::Schedules(command) => schedules::run(url, command).await,
        Command::Retry(command) => retry::run(url, command).await,
        Command::Retention(command) => retention::run(url, command).await,
        Command::Doctor(args) => doctor::run(url, &args).await,
        Command::Tokens(command) => tokens::run(url, command).await,
        Command::Orders(command) => orders::run(url, command).await,
        Command::Db(command) => db::run(command).await,
    };
    ended.unwrap_or_else(|error| {
        output::complain(&database::explained(error));
        ExitCode::FAILURE
    })
}
