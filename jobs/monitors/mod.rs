//! Monitors: looking whether the business is in order, and saying when it is not.

mod check;
mod run_monitor;

pub use check::Check;
pub use run_monitor::RunMonitor;
