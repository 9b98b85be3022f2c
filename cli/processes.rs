//! The process types of the Procfile: `web`, `worker` and `scheduler`.

use std::{process::ExitCode, time::Duration};

use workers::{scheduler, schema, web, worker};

use crate::{database, logging, shutdown};

/// What a process logs unless it is told otherwise.
const LOG: &str = "info,sqlx=warn";

/// How long the web waits to know the schema before it serves.
const WAIT_FOR_SCHEMA: Duration = Duration::from_secs(1);

/// `rawops web`.
pub async fn web(url: Option<&str>) -> anyhow::Result<ExitCode> {
    logging::start(LOG)?;
    let options = database::required(url).await?;
    let config = web::Config::from_env()?;
    let shutdown = shutdown::on_signal()?;
    let pool = database::pool(options.application_name("rawops web"), web::CONNECTIONS);
    // Deliveries are answered with 503 while the database is away; one that is another program's is refused, and where it
    // answers at once nothing is taken before that is known.
    let mut current = {
        let (pool, shutdown) = (pool.clone(), shutdown.clone());
        tokio::spawn(async move {
            let current = schema::wait_until_current(&pool, &shutdown).await;
            if current.is_err() {
                shutdown.cancel();
            }
            current
        })
    };
    if let Ok(known) = tokio::time::timeout(WAIT_FOR_SCHEMA, &mut current).await {
        known??;
        web::run(config, pool, shutdown).await?;
        return Ok(ExitCode::SUCCESS);
    }
    web::run(config, pool, shutdown.clone()).await?;
    shutdown.cancel();
    current.await??;
    Ok(ExitCode::SUCCESS)
}

/// `rawops worker`.
pub async fn worker(url: Option<&str>) -> anyhow::Result<ExitCode> {
    logging::start(LOG)?;
    let options = database::required(url).await?;
    let config = worker::Config::from_env()?;
    let pool = database::pool(options.application_name("rawops worker"), config.connections());
    worker::run(config, pool, shutdown::on_signal()?).await?;
    Ok(ExitCode::SUCCESS)
}

/// `rawops scheduler`.
pub async fn scheduler(url: Option<&str>) -> anyhow::Result<ExitCode> {
    logging::start(LOG)?;
    let options = database::required(url).await?;
    let config = scheduler::Config::from_env()?;
    let pool = database::pool(options.application_name("rawops scheduler"), 2);
    scheduler::run(config, pool, shutdown::on_signal()?).await?;
    Ok(ExitCode::SUCCESS)
}
