//! The pipelines of Protocol Raw, one file a kind of job: `orders.process_order` is `orders/process_order.rs`.

pub mod addresses;
pub mod alerts;
pub mod allocation;
pub mod clients;
pub mod couriers;
pub mod customers;
pub mod dispatch;
pub mod export;
pub mod health;
pub mod lifecycle;
pub mod monitors;
pub mod orders;
pub mod outbox;
pub mod packing;
pub mod subscriptions;
pub mod webhooks;
mod written_time;

use addresses::{SweepChanges, SyncToSeal, SyncToShopify};
use alerts::{PostAlert, ReportFailures};
use allocation::{AllocateOrder, ReleaseHolds, WatchQueue};
use couriers::{HandleException, ImportLogger, RecordEvent};
use customers::{HandlePrivacyRequest, ProcessCustomer, RemindOfPrivacyRequest};
use dispatch::{FetchFiles, ImportDispatch, ReadFile};
use export::{CollectOrders, SendFile};
use health::PruneEnqueueKeys;
use lifecycle::TrackEvent;
use monitors::{ReconcileStock, RunMonitor};
use orders::{ProcessFulfillment, ProcessOrder, ProcessRefund};
use outbox::{DeliverMessage, SweepMessages};
use packing::{CalculateInstructions, JudgeCheck, PlanPackDay};
use subscriptions::ProcessEvent;
use webhooks::{ReconcileOrders, RetryFailed};

/// Every kind, with clients of the outside systems that these settings describe. Mails go out no faster than their account takes
/// them, over the whole fleet: a mail that has no turn yet waits in its queue, and keeps no worker busy.
///
/// # Errors
/// An address that is none, or TLS that cannot be set up.
pub fn calling(settings: &clients::Settings) -> Result<engine::Kinds, clients::OutsideError> {
    let mails = engine::Limit::of_kind(<DeliverMessage as engine::Job>::KIND).rate(settings.customerio.mail_rate());
    Ok(kinds().limit(mails).sharing(clients::Outside::new(settings)?))
}

/// Every kind of job a worker can run.
pub fn kinds() -> engine::Kinds {
    engine::Kinds::new()
        .with::<AllocateOrder>()
        .with::<CalculateInstructions>()
        .with::<CollectOrders>()
        .with::<DeliverMessage>()
        .with::<FetchFiles>()
        .with::<HandleException>()
        .with::<HandlePrivacyRequest>()
        .with::<ImportDispatch>()
        .with::<ImportLogger>()
        .with::<JudgeCheck>()
        .with::<PlanPackDay>()
        .with::<PostAlert>()
        .with::<ProcessCustomer>()
        .with::<ProcessEvent>()
        .with::<ProcessFulfillment>()
        .with::<ProcessOrder>()
        .with::<ProcessRefund>()
        .with::<PruneEnqueueKeys>()
        .with::<ReadFile>()
        .with::<ReconcileOrders>()
        .with::<ReconcileStock>()
        .with::<RecordEvent>()
        .with::<ReleaseHolds>()
        .with::<RemindOfPrivacyRequest>()
        .with::<ReportFailures>()
        .with::<RetryFailed>()
        .with::<RunMonitor>()
        .with::<SendFile>()
        .with::<SweepChanges>()
        .with::<SweepMessages>()
        .with::<SyncToSeal>()
        .with::<SyncToShopify>()
        .with::<TrackEvent>()
        .with::<WatchQueue>()
}
