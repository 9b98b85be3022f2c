//! What runs when: every recurring job of the house in one table.
//!
//! Times are wall clock times of the zone; `engine::schedule::timetable` says what happens when clocks change. Operators
//! change all of it but names and jobs while the house runs: `rawops schedules`.

use chrono_tz::Europe::London;
use engine::{NewJob, schedule::Schedule};
use jobs::{
    addresses::SweepChanges,
    alerts::ReportFailures,
    allocation::{ReleaseHolds, WatchQueue},
    dispatch::FetchFiles,
    export::CollectOrders,
    health::PruneEnqueueKeys,
    monitors::{Check, ReconcileStock, RunMonitor},
    outbox::SweepMessages,
    packing::PlanPackDay,
    webhooks::{ReconcileOrders, RetryFailed},
};

/// A schedule of one check.
macro_rules! monitor {
    ($name:literal, $cron:literal, $check:expr, $description:literal) => {
        Schedule::making::<RunMonitor>($name, $cron, London, $description, || NewJob::of(&RunMonitor { check: $check }))
    };
}

/// Every recurring job.
pub const SCHEDULES: &[Schedule] = &[
    Schedule::of::<SweepMessages>("process-email-outbox", "* * * * *", London, "Finds mails and events that wait without a job"),
    Schedule::of::<RetryFailed>(
        "retry-failed-webhooks",
        "*/5 * * * *",
        London,
        "Tries webhooks again that failed for a reason that passes",
    ),
    Schedule::of::<ReconcileOrders>(
        "reconcile-shopify-orders",
        "7-59/15 * * * *",
        London,
        "Finds orders that changed at Shopify and that no webhook told of",
    ),
    Schedule::of::<CollectOrders>("order-export", "0 6 * * *", London, "Hands the orders whose stock is reserved to the packer"),
    Schedule::of::<FetchFiles>("fetch-dispatches", "3-59/15 * * * *", London, "Fetches the packer's files of what has left"),
    Schedule::of::<SweepChanges>(
        "sweep-address-changes",
        "*/5 * * * *",
        London,
        "Finds changes of address that are to be told and have no job",
    ),
    Schedule::of::<ReportFailures>("report-failures", "* * * * *", London, "Says in Slack what fails, and what fails no more"),
    Schedule::of::<PruneEnqueueKeys>("prune_enqueue_keys", "17 * * * *", London, "Forgets idempotency keys older than a week"),
    Schedule::of::<WatchQueue>("watch-allocation-queue", "*/5 * * * *", London, "Says when orders wait for stock too long"),
    Schedule::of::<ReleaseHolds>(
        "release-stock-holds",
        "*/5 * * * *",
        London,
        "Gives back the stock that orders held and did not pay for in time",
    ),
    Schedule::of::<PlanPackDay>(
        "calculate-pack-day-instructions",
        "0,45 5 * * *",
        London,
        "Says how each box of the day is packed, before the orders of the day are exported",
    ),
    Schedule::of::<ReconcileStock>("reconcile-stock", "40 2 * * *", London, "Says which figures of stock do not agree"),
    monitor!("monitor-order-ingestion-slo", "*/2 * * * *", Check::OrderIngestionSlo, "Looks whether webhooks become orders in time"),
    monitor!("monitor-outbox-health", "*/2 * * * *", Check::OutboxHealth, "Looks whether mails and events go out"),
    monitor!("monitor-stock-levels", "*/15 * * * *", Check::StockLevels, "Looks whether every product has stock"),
    monitor!("monitor-lab-sla", "*/15 * * * *", Check::LabSla, "Looks whether laboratories answer in time"),
    monitor!("monitor-working-capital", "0 */6 * * *", Check::WorkingCapital, "Looks at the value of what is on QA hold"),
    monitor!("monitor-daily-snapshot", "0 9 * * *", Check::DailySnapshot, "Tells the figures of the day"),
    monitor!("monitor-support-queue", "*/15 * * * *", Check::SupportQueue, "Looks whether tickets are answered in time"),
];

#[cfg(test)]
mod tests {
    use engine::schedule;

    use super::*;

    #[test]
    fn every_schedule_makes_sense_and_has_a_kind_that_workers_know() {
        schedule::validate(SCHEDULES).expect("the table makes sense");
        let kinds = jobs::kinds().names();
        for schedule in SCHEDULES {
            assert!(kinds.iter().any(|kind| kind == schedule.kind), "{}", schedule.kind);
        }
    }
}
