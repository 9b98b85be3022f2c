//! `rawops up`: everything on this machine, in one process.
//!
//! settings -> port -> PostgreSQL -> schema -> sandboxes -> worker, scheduler, web -> sandbox shop -> status until told to end

mod guard;
mod outside;
mod settings;
mod shop;
mod status;
mod steps;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::bail;
use engine::store::doctor;
use sqlx::PgPool;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use workers::{scheduler, web, worker};

use self::{guard::Guard, outside::Outside, settings::Settings, shop::Shop, status::Status, steps::step};
use crate::{
    database::Database,
    doctor as report, logging,
    output::{self, counted},
    shutdown,
};

/// How long a run that ends by itself waits for jobs of which none ends.
const PATIENCE: Duration = Duration::from_mins(1);

/// What `up` logs unless it is told otherwise. Its own lines say how the house does; what an attempt or a webhook met
/// with is in `rawops jobs show` and sent again.
const LOG: &str = "error,web=off";

/// What `up` may be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Orders a second that the sandbox shop sends
    #[arg(long, value_name = "R", default_value_t = 20.0, value_parser = settings::rate)]
    rate: f64,
    /// Let the sandbox shop stop after N orders
    #[arg(long, value_name = "N")]
    orders: Option<u64>,
    /// The same seed gives the same shop; on a database that knows it, it goes on where it was
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// End after this time, such as 30s or 5m: exit code 0 if every order sent became an order and doctor is clean
    #[arg(long = "for", value_name = "DURATION", value_parser = settings::duration)]
    length: Option<Duration>,
    /// End after N orders of the sandbox shop, with the exit code of --for
    #[arg(long, value_name = "N", conflicts_with_all = ["orders", "length"])]
    until_orders: Option<u64>,
    /// Let the sandbox's packer have his drop over SFTP, not HTTP
    #[arg(long)]
    sftp: bool,
}

pub async fn run(url: Option<&str>, args: Args) -> anyhow::Result<ExitCode> {
    logging::start(LOG)?;
    let begun = Instant::now();
    let mut settings = Settings::read(&args)?;
    let shutdown = shutdown::on_signal()?;
    let listener = web::bind(settings.web.bind).await?;
    let mut database = Database::open(url, step).await?;
    let guard = database.take_cluster().map(|cluster| Guard::watch(cluster, database.options().clone()));
    if settings.shop.is_some() {
        refuse_real_shop(&database).await?;
    }
    migrate(&database).await?;

    let address = settings::reachable(listener.local_addr()?);
    // Beside a real shop nothing stands in: its customers' mails would vanish in a sandbox.
    let outside = if settings.shop.is_some() { Some(Outside::open(&mut settings, address, args.sftp).await?) } else { None };
    let mut house = House::start(&settings, listener, &database)?;
    let shop = match &settings.shop {
        Some(secret) => {
            Some(Shop::open(&house.pool, &args, house.address, secret, outside.as_ref().and_then(|outside| outside.admin.clone())).await?)
        }
        None => None,
    };
    welcome(&house, begun.elapsed())?;
    let status = Status::begin(house.pool.clone(), shop.as_ref()).await?;
    let ended = house.watch(&args, &status, shop.as_ref(), &shutdown).await;
    if let Some(shop) = &shop {
        shop.close().await;
    }
    let code = match ended {
        Ok(End::Interrupted) if args.ends_by_itself() => Ok(ExitCode::from(shutdown::INTERRUPTED)),
        Ok(End::Interrupted) => Ok(ExitCode::SUCCESS),
        Ok(End::Reached) => match shutdown.run_until_cancelled(judge(&house, &status, shop.as_ref())).await {
            Some(judged) => judged,
            None => Ok(ExitCode::from(shutdown::INTERRUPTED)),
        },
        Err(error) => Err(error),
    };
    house.stop().await;
    if let Some(guard) = guard {
        guard.end().await?;
    }
    code
}

impl Args {
    const fn ends_by_itself(&self) -> bool {
        self.length.is_some() || self.until_orders.is_some()
    }
}

/// Where a real shop has written nobody plays: its customers' mails would vanish in a sandbox, and a sandbox's packer say that its
/// orders have left.
async fn refuse_real_shop(database: &Database) -> anyhow::Result<()> {
    let mut connection = database.connect().await?;
    let is_there: bool = sqlx::query_scalar("select to_regclass('raw_ops.webhook_inbox') is not null").fetch_one(&mut connection).await?;
    if !is_there {
        return Ok(());
    }
    let shop: Option<String> = sqlx::query_scalar(include_str!("sql/up/real_shop.sql"))
        .bind([settings::SHOP, sandbox::company::SHOP])
        .fetch_optional(&mut connection)
        .await?;
    if let Some(shop) = shop {
        bail!(
            "this database has webhooks of {shop}, and beside a sandbox its mails and orders would go nowhere: set \
             SHOPIFY_WEBHOOK_SECRET and the other settings of that shop, or name another database"
        );
    }
    Ok(())
}

async fn migrate(database: &Database) -> anyhow::Result<()> {
    let begun = Instant::now();
    let applied = migrations::run(&mut database.connect().await?).await?;
    step(&format!("migrate: {} applied, the schema is at {:04}", applied.len(), migrations::newest()), begun.elapsed());
    Ok(())
}

fn welcome(house: &House, took: Duration) -> anyhow::Result<()> {
    let web = format!("http://{}", house.address);
    output::print(format!("ready in {:.1} s\n", took.as_secs_f64()))?;
    for (place, what) in [
        (format!("{web}{}", ::web::webhooks::shopify::PATH).as_str(), "takes Shopify's webhooks"),
        (format!("{web}/metrics").as_str(), "figures for Prometheus; /healthz and /readyz beside it"),
        ("rawops jobs list", "the newest jobs; `rawops jobs show ID` tells all about one"),
        ("rawops dead list", "what failed for good; `rawops dead requeue ID` runs it again"),
        ("rawops doctor", "checks every promise of the ledger"),
    ] {
        output::print(format!("  {place:<60} {what}"))?;
    }
    output::print("\nCtrl-C ends it.\n")
}

/// Why the watch is over.
enum End {
    /// A signal came.
    Interrupted,
    /// The time is over, or the orders were sent.
    Reached,
}

/// The three processes, as tasks of this one.
struct House {
    address: std::net::SocketAddr,
    pool: PgPool,
    pools: Vec<PgPool>,
    running: JoinSet<(&'static str, anyhow::Result<()>)>,
    stop: CancellationToken,
}

impl House {
    fn start(settings: &Settings, listener: TcpListener, database: &Database) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let (pool, of_web) = (database.pool(4), database.pool(web::CONNECTIONS));
        let of_worker = database.pool(settings.worker.connections());
        let mut running = JoinSet::new();
        let address = settings::reachable(listener.local_addr()?);
        let (config, end, own) = (settings.web.clone(), stop.clone(), of_web.clone());
        running.spawn(async move {
            web::run_on(listener, &config, own, end).await;
            ("web", Ok(()))
        });
        let working = worker::run(settings.worker.clone(), of_worker.clone(), stop.clone());
        running.spawn(async move { ("worker", working.await.map_err(anyhow::Error::from)) });
        let scheduling = scheduler::run(settings.scheduler, pool.clone(), stop.clone());
        running.spawn(async move { ("scheduler", scheduling.await.map_err(anyhow::Error::from)) });
        Ok(Self { address, pool: pool.clone(), pools: vec![pool, of_web, of_worker], running, stop })
    }

    /// Shows the status until something ends it.
    async fn watch(&mut self, args: &Args, status: &Status, shop: Option<&Shop>, shutdown: &CancellationToken) -> anyhow::Result<End> {
        let over = over(args, shop);
        tokio::pin!(over);
        let mut next = tokio::time::interval(status::EVERY);
        next.reset();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(End::Interrupted),
                () = &mut over => return Ok(End::Reached),
                Some(ended) = self.running.join_next() => match ended {
                    Ok((name, Ok(()))) => bail!("the {name} ended by itself"),
                    Ok((name, Err(error))) => bail!("the {name} ended: {error}"),
                    Err(error) => bail!("a process of the house ended: {error}"),
                },
                _ = next.tick() => status.show().await?,
            }
        }
    }

    /// Lets everything end well.
    async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            if let Ok((name, Err(error))) = ended {
                output::complain(&format!("the {name} did not end well: {error}"));
            }
        }
        for pool in self.pools {
            pool.close().await;
        }
    }
}

/// Ends when the run is to end by itself; never, if it is not.
async fn over(args: &Args, shop: Option<&Shop>) {
    match (args.length, args.until_orders, shop) {
        (Some(length), _, _) => tokio::time::sleep(length).await,
        (None, Some(_), Some(shop)) => shop.finished().await,
        _ => std::future::pending().await,
    }
}

/// Waits for what was sent to be processed, then asks whether all of it was, and the doctor.
async fn judge(house: &House, status: &Status, shop: Option<&Shop>) -> anyhow::Result<ExitCode> {
    let mut problems = Vec::new();
    if let Some(left) = status.drained(PATIENCE).await? {
        problems.push(format!("{left}, and none was processed in {} s", PATIENCE.as_secs()));
    }
    status.show().await?;
    if let Some(shop) = shop {
        problems.extend(shop.problems(&house.pool).await?);
    }
    let findings = doctor::examine(&house.pool).await?;
    report::show(&findings)?;
    let faults = findings.iter().filter(|finding| finding.severity == doctor::Severity::Fault).count();
    if faults > 0 {
        problems.push(format!("doctor found {}", counted(faults, "fault")));
    }
    for problem in &problems {
        output::complain(problem);
    }
    if problems.is_empty() {
        let orders = shop.map(|shop| format!("all {} of the shop are orders here, and ", counted(shop.orders(), "order")));
        output::print(format!("{}doctor found no fault", orders.unwrap_or_default()))?;
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
