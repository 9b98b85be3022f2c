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
