//! Webhooks: what all jobs that read the inbox need.

pub(crate) mod inbox;
