//! Webhooks: what all jobs that read an inbox need, and those that failed.

pub(crate) mod inbox;
mod retry_failed;

pub use retry_failed::RetryFailed;
