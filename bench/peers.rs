//! Peers: programs of their own in `bench/peers`, which the product never depends on.
//!
//! A peer is a folder with a `run` that takes the address of an empty database, the name of a workload and a number of
//! jobs, and prints one JSON object of figures, as `{"drain, 1 process (jobs/s)": 20200.0}`. `bench/peers/install NAME`
//! installs it; one that is not installed is absent, never slow.

use std::{collections::BTreeMap, path::PathBuf, process::Stdio, time::Duration};

use anyhow::Context;
use sqlx::Executor;

use crate::{figures::Figures, home, stage::Stage, workloads::Workload};

/// The longest that a peer may take for one workload.
const LIMIT: Duration = Duration::from_mins(5);

/// The workloads that peers are measured in.
const SHARED: [Workload; 4] = [Workload::Bulk, Workload::Drain, Workload::Pickup, Workload::Steps];

/// A peer.
pub struct Peer {
    /// The name of its folder, and of itself.
    pub name: String,
    folder: PathBuf,
}

impl Peer {
    /// Whether its installer came to its end.
    pub fn is_installed(&self) -> bool {
        self.folder.join("installed").exists()
    }

    /// One workload in a database of its own; nothing, where it has no such thing.
    async fn measure(&self, stage: &Stage, workload: Workload) -> anyhow::Result<BTreeMap<String, f64>> {
        stage.pool.execute("drop database if exists peer with (force)").await?;
        stage.pool.execute("create database peer").await?;
        let child = tokio::process::Command::new(self.folder.join("run"))
            .args([&stage.url(Some("peer"))?, &workload.name(), &stage.options.jobs.to_string()])
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()?;
        let ended = tokio::time::timeout(LIMIT, child.wait_with_output()).await.context("it took more than five minutes")??;
        anyhow::ensure!(ended.status.success(), "it ended with {}", ended.status);
        let text = String::from_utf8(ended.stdout)?;
        serde_json::from_str(text.trim()).with_context(|| format!("it printed no figures but {text:?}"))
    }
}

/// Every peer that has a folder.
pub fn all() -> Vec<Peer> {
    let folders = std::fs::read_dir(home().join("peers")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut peers: Vec<Peer> = folders
        .filter(|folder| folder.join("run").exists())
        .filter_map(|folder| Some(Peer { name: folder.file_name()?.to_str()?.to_string(), folder }))
        .collect();
    peers.sort_by(|a, b| a.name.cmp(&b.name));
    peers
}

/// Every installed peer in this workload. One that fails is told and left out: it is not slow.
pub async fn measure(stage: &Stage, workload: Workload, figures: &mut Figures) -> anyhow::Result<()> {
    if !SHARED.contains(&workload) {
        return Ok(());
    }
    for peer in all().iter().filter(|peer| peer.is_installed()) {
        match peer.measure(stage, workload).await {
            Ok(measured) => measured.iter().for_each(|(name, value)| figures.note(name, &peer.name, *value)),
            Err(error) => eprintln!("{} is left out of {}: {error:#}", peer.name, workload.name()),
        }
    }
    Ok(())
}
