//! Webhooks: what all jobs that read an inbox need, and those that failed.

pub(crate) mod inbox;
mod reconcile_orders;
mod retry_failed;

pub use reconcile_orders::ReconcileOrders;
pub use retry_failed::RetryFailed;
