//! The processes of a run: workers, schedulers and web processes, all of them this program started again.

pub mod child;
pub mod fleet;
pub mod held;
pub mod launch;
pub mod place;
mod role;

pub use fleet::{Fleet, Life};
pub use launch::{Clock, Off, Start};
pub use place::{Arm, Doing};
pub use role::Role;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The variable that tells a process what it is.
pub const ORDERS: &str = "ORDEAL_CHILD";

/// What a process is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Orders {
    /// What it is.
    pub role: Role,
    /// The supervisor's process.
    pub parent: u32,
    /// The database.
    pub url: String,
    /// The run's folder, for its witness.
    pub folder: PathBuf,
    /// Where it is to come to harm, if anywhere.
    pub arm: Option<Arm>,
    /// Which version of the program it is.
    pub version: u32,
    /// Whether a pooler in transaction mode is in between.
    pub pooled: bool,
    /// Where the outside system is.
    pub outside: String,
    /// The way to it from a namespace.
    pub relay: Option<PathBuf>,
    /// The bug that it has.
    pub planted: Option<String>,
}
