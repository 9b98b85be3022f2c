//! The database that is measured in.

use std::{path::PathBuf, sync::Mutex};

use sqlx::{Executor, PgPool};

use crate::{Options, server::Server};

/// A fresh server with the settings of kept data, or the database that was named.
pub struct Stage {
    /// How much is measured.
    pub options: Options,
    /// Connections of the measuring process.
    pub pool: PgPool,
    /// The server's processes and log.
    pub server: Server,
    /// Its version.
    pub server_version: String,
    url: String,
    cluster: Mutex<Option<(embedded::Cluster, PathBuf)>>,
}

impl Stage {
    /// Starts the server if none was named, and brings the schema.
    pub async fn set(options: Options) -> anyhow::Result<Self> {
        let (url, cluster) = if let Some(url) = &options.database {
            (url.clone(), None)
        } else {
            let (cluster, folder) = private_server().await?;
            (cluster.url("postgres"), Some((cluster, folder)))
        };
        let pool = engine::pool_options().max_connections(40).connect(&url).await?;
        migrations::run(&mut *pool.acquire().await?).await?;
        let server_version: String = sqlx::query_scalar("show server_version").fetch_one(&pool).await?;
        let server = Server::find(&pool, cluster.as_ref().and_then(|(cluster, _)| cluster.postmaster_pid())).await?;
        Ok(Self { options, pool, server, server_version, url, cluster: Mutex::new(cluster) })
    }

    /// The address of a database on the same server; `None` is the one with the engine's schema.
    pub fn url(&self, database: Option<&str>) -> anyhow::Result<String> {
        let Some(database) = database else { return Ok(self.url.clone()) };
        match &*self.cluster.lock().expect("no holder of this lock panics") {
            Some((cluster, _)) => Ok(cluster.url(database)),
            None => anyhow::bail!("peers are measured on the private server only: leave out --database"),
        }
    }

    /// Empties the engine's tables, and lets the server write what is due before the clock starts.
    pub async fn empty(&self) -> anyhow::Result<()> {
        self.pool
            .execute(
                "do $$ begin
                     execute (select 'truncate ' || string_agg(format('engine.%I', c.relname), ', ') || ' cascade'
                              from pg_class c
                              where c.relnamespace = 'engine'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
                                and c.relname = any ('{job,attempt,ready,scheduled,waiting,slot,permit,pace,claim,worker,unique_key,
                                    unique_period,enqueue_key,idle,step,parked,child,child_end,compensation,aftermath,event,event_wait,
                                    topic,notice,progress,log_line}'));
                 end $$",
            )
            .await?;
        self.pool.execute("truncate raw_ops.webhook_inbox, raw_ops.orders, raw_ops.customers cascade").await?;
        self.pool.execute("vacuum analyze engine.ready").await?;
        self.pool.execute("checkpoint").await?;
        Ok(())
    }

    /// Stops a server of our own and removes its data.
    pub async fn strike(self) -> anyhow::Result<()> {
        self.pool.close().await;
        let Some((cluster, folder)) = self.cluster.into_inner().expect("no holder of this lock panics") else { return Ok(()) };
        let data = cluster.data_dir().to_path_buf();
        tokio::task::spawn_blocking(move || cluster.stop()).await??;
        for left in [data.parent().map(std::path::Path::to_path_buf), Some(folder)].into_iter().flatten() {
            // The measurement is over; a folder that stays behind is only untidy.
            let _ = std::fs::remove_dir_all(left);
        }
        Ok(())
    }
}

/// A fresh private server: fsync on, synchronous_commit on.
async fn private_server() -> anyhow::Result<(embedded::Cluster, PathBuf)> {
    let folder = std::env::temp_dir().join(format!("rawops-bench-{}", std::process::id()));
    let options = embedded::Options::kept(&folder);
    let cluster = tokio::task::spawn_blocking(move || embedded::Cluster::start(&options)).await??;
    eprintln!("PostgreSQL {} in {}", cluster.version(), cluster.data_dir().display());
    Ok((cluster, folder))
}
