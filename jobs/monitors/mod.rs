//! Monitors: looking whether the business is in order, and saying when it is not.

mod check;
mod reconcile_stock;
mod run_monitor;

pub use check::Check;
pub use reconcile_stock::ReconcileStock;
pub use run_monitor::RunMonitor;
