//! The pipelines of Protocol Raw, one file a kind of job: `orders.process_order` is `orders/process_order.rs`.

pub mod alerts;
pub mod allocation;
pub mod clients;
pub mod health;
pub mod lifecycle;
pub mod orders;
pub mod outbox;

use alerts::{PostAlert, ReportFailures};
use allocation::AllocateOrder;
use health::PruneEnqueueKeys;
use lifecycle::TrackEvent;
use orders::ProcessOrder;
use outbox::{DeliverMessage, SweepMessages};

/// Every kind of job a worker can run.
pub fn kinds() -> engine::Kinds {
    engine::Kinds::new()
        .with::<AllocateOrder>()
        .with::<DeliverMessage>()
        .with::<PostAlert>()
        .with::<ProcessOrder>()
        .with::<PruneEnqueueKeys>()
        .with::<ReportFailures>()
        .with::<SweepMessages>()
        .with::<TrackEvent>()
}
