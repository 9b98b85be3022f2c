//! Looks after the private PostgreSQL while `up` runs: should it end, it is started again.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use embedded::Cluster;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::output;

/// How often the server is asked whether it lives.
const EVERY: Duration = Duration::from_millis(500);
/// How long it may take to answer; an answer that is late for this long may still come.
const PATIENCE: Duration = Duration::from_secs(5);

/// The private server's guard.
pub struct Guard {
    cluster: Arc<Mutex<Cluster>>,
    stop: CancellationToken,
    watching: JoinHandle<()>,
}

impl Guard {
    /// Begins to look after it.
    pub fn watch(cluster: Cluster, options: PgConnectOptions) -> Self {
        let cluster = Arc::new(Mutex::new(cluster));
        let stop = CancellationToken::new();
        let watching = tokio::spawn(watch(cluster.clone(), options, stop.clone()));
        Self { cluster, stop, watching }
    }

    /// Leaves the server; the last to leave stops it.
    pub async fn end(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.watching.await?;
        let cluster = Arc::into_inner(self.cluster).expect("the watch, which shares it, is over");
        let cluster = cluster.into_inner().expect("no holder of this lock panics");
        tokio::task::spawn_blocking(move || cluster.stop()).await??;
        Ok(())
    }
}

async fn watch(cluster: Arc<Mutex<Cluster>>, options: PgConnectOptions, stop: CancellationToken) {
    let mut connection = None;
    while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        let answers = timeout(PATIENCE, answers(&mut connection, &options)).await.unwrap_or(false);
        if answers {
            continue;
        }
        connection = None;
        let begun = Instant::now();
        let cluster = cluster.clone();
        let recovering = tokio::task::spawn_blocking(move || cluster.lock().expect("no holder of this lock panics").recover());
        match recovering.await {
            Ok(Ok(true)) => output::complain(&format!("PostgreSQL had ended; it was started again in {} ms", begun.elapsed().as_millis())),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => output::complain(&format!("PostgreSQL has ended and does not start, trying again: {error}")),
            Err(error) => output::complain(&format!("PostgreSQL cannot be looked after: {error}")),
        }
    }
}

async fn answers(connection: &mut Option<PgConnection>, options: &PgConnectOptions) -> bool {
    if connection.is_none() {
        *connection = PgConnection::connect_with(options).await.ok();
    }
    match connection {
        Some(connection) => connection.ping().await.is_ok(),
        None => false,
    }
}
