//! What the server spends: processor time of its processes, and bytes of its log.

use std::fs;

use sqlx::PgPool;

/// The server's main process, if it is on this machine.
pub struct Server {
    postmaster: Option<u32>,
}

/// What was spent up to a moment.
#[derive(Clone, Copy)]
pub struct Spent {
    processor_us: Option<f64>,
    log_bytes: f64,
}

/// What was spent between two moments.
#[derive(Clone, Copy)]
pub struct Cost {
    /// Processor time of all its processes in µs, if they are on this machine.
    pub processor_us: Option<f64>,
    /// Bytes of the write-ahead log.
    pub log_bytes: f64,
}

impl Server {
    /// The server behind `pool`. `known` is its main process; without it, it is looked for.
    pub async fn find(pool: &PgPool, known: Option<u32>) -> anyhow::Result<Self> {
        let backend: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(pool).await?;
        let is_here = || stat(u32::try_from(backend).ok()?).filter(|stat| stat.name == "postgres").map(|stat| stat.parent);
        Ok(Self { postmaster: known.or_else(is_here) })
    }

    /// What it has spent so far.
    pub async fn spent(&self, pool: &PgPool) -> anyhow::Result<Spent> {
        let log_bytes: f64 = sqlx::query_scalar("select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8").fetch_one(pool).await?;
        Ok(Spent { processor_us: self.postmaster.map(processor_us), log_bytes })
    }

    /// What it has spent since.
    pub async fn since(&self, before: Spent, pool: &PgPool) -> anyhow::Result<Cost> {
        let now = self.spent(pool).await?;
        let processor_us = now.processor_us.zip(before.processor_us).map(|(now, before)| now - before);
        Ok(Cost { processor_us, log_bytes: now.log_bytes - before.log_bytes })
    }
}

/// A line of `/proc/<pid>/stat`; times in ticks of 10 ms.
struct Stat {
    name: String,
    parent: u32,
    own_ticks: u64,
    of_ended_children: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = text.rsplit_once(')')?;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    Some(Stat {
        name: head.split_once('(')?.1.to_string(),
        parent: u32::try_from(number(1)?).ok()?,
        own_ticks: number(11)? + number(12)?,
        of_ended_children: number(13)? + number(14)?,
    })
}

/// Of the main process and of its children, those that ended included.
fn processor_us(postmaster: u32) -> f64 {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let living: u64 = pids.filter_map(stat).filter(|stat| stat.parent == postmaster).map(|stat| stat.own_ticks).sum();
    let main = stat(postmaster).map_or(0, |stat| stat.own_ticks + stat.of_ended_children);
    (living + main) as f64 * 10_000.0
}
