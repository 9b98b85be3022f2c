//! The data that the nodes of runs begin with: a cluster with the migrated template, which no run writes to.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use embedded::{Cluster, Options};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::disk::Disk;

/// What runs need besides the migrations.
const STAGE: &str = include_str!("../stage.sql");

/// The programs of the server, and a data folder with the template, which no run writes to.
pub async fn pristine(folder: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    let options = Options::kept(folder);
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&options)).await??;
    migrate(&cluster).await?;
    let (bindir, data) = (cluster.bindir().to_path_buf(), cluster.data_dir().to_path_buf());
    tokio::task::spawn_blocking(move || cluster.stop()).await??;
    Ok((bindir, data))
}

async fn migrate(cluster: &Cluster) -> anyhow::Result<()> {
    let mut admin = PgConnection::connect(&cluster.url("postgres")).await?;
    let template = template();
    let known: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1 and datistemplate)")
        .bind(&template)
        .fetch_one(&mut admin)
        .await?;
    if known {
        return Ok(admin.close().await?);
    }
    admin.execute(AssertSqlSafe(format!("drop database if exists {template}"))).await?;
    admin.execute(AssertSqlSafe(format!("create database {template}"))).await?;
    let mut connection = PgConnection::connect(&cluster.url(&template)).await?;
    migrations::run(&mut connection).await?;
    for statement in STAGE.split(";\n").filter(|statement| !statement.trim().is_empty()) {
        connection.execute(statement).await.context("the run's own tables")?;
    }
    connection.close().await?;
    admin.execute(AssertSqlSafe(format!("alter database {template} with is_template true"))).await?;
    Ok(admin.close().await?)
}

/// The name of the template for these migrations and what runs need besides.
pub fn template() -> String {
    let mut hasher = DefaultHasher::new();
    STAGE.hash(&mut hasher);
    format!("ordeal_template_{}_{:x}", migrations::fingerprint(), hasher.finish())
}

/// Copies a data folder with its owners and modes, onto a disk of its own where that can be.
pub fn copy(from: &Path, to: &Path) -> anyhow::Result<Option<Disk>> {
    let _ = fs::remove_dir_all(to);
    fs::create_dir(to)?;
    let disk = Disk::at(to)?;
    let status = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status()?;
    ensure!(status.success(), "{} cannot be copied", from.display());
    Ok(disk)
}
