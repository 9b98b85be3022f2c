//! The crash matrix: a worker is killed at each place that a job of a pipeline comes to, another one goes on, and the end is
//! the same as if nothing had happened.

mod missed;
mod packer;

use std::{cell::RefCell, pin::Pin, time::Duration};

use engine::{Client, Job, NewJob, failpoint::Side};
use jobs::{
    alerts::ReportFailures,
    allocation::{ReleaseHolds, WatchQueue},
    health::PruneEnqueueKeys,
    monitors::{Check, ReconcileStock, RunMonitor},
    outbox::SweepMessages,
    packing::PlanPackDay,
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::time::timeout;

use crate::addresses;
use crate::couriers::{handle_exception as couriers, import_logger::too_warm};
use crate::orders::inbox::{self, execute};
use crate::support::{
    Database, Outside, clock, ledger,
    process::{WorkerOptions, WorkerProcess},
    run_all,
    shelf::{Batch, allocate, order, product, rows},
    wait,
};

/// Before a job begins; in its transaction; when all is done and not committed; when it is committed and nobody knows.
const PLACES: [(&str, Side); 6] = [
    ("claim/take", Side::After),
    ("claim/assert", Side::After),
    ("run/commit", Side::Before),
    ("run/commit", Side::After),
    ("run/complete commit", Side::Before),
    ("run/complete commit", Side::After),
];

/// A job of a pipeline, and the rows that say what became of it.
struct Case {
    /// Puts rows that make the job, by their triggers or by itself.
    prepare: for<'a> fn(&'a PgPool) -> Pin<Box<dyn Future<Output = ()> + 'a>>,
    /// What must be the same in the end.
    end: &'static str,
    /// What must be the same outside. What may be told twice after an unknown outcome is counted once.
    outside: fn(&Outside) -> Value,
}

/// What the case comes to when a worker dies at a place; `None`: when nobody dies. And whether somebody died.
async fn end_of(case: &Case, place: Option<(&str, Side, u32)>) -> (Value, bool) {
    let (db, outside) = (Database::new().await, Outside::start().await);
    execute(db.pool(), "update raw_ops.retry_config set backoff_seconds = '{0}'").await;
    addresses::known(&outside);
    packer::laid_out(&outside);
    missed::laid_out(&outside);
    (case.prepare)(db.pool()).await;
    let mut died = false;
    if let Some((statement, side, n)) = place {
        let worker = WorkerOptions::new(db.url()).concurrency(1).outside(&outside).die_at(statement, side, n).start();
        died = dies(worker, db.pool()).await;
        // Nobody doubts it; the lease need not run out.
        execute(db.pool(), "update engine.worker set dead_at = engine.now() where dead_at is null").await;
        execute(db.pool(), "delete from engine.idle").await;
    }
    run_all(&db, outside.kinds()).await;
    ledger::check(db.pool()).await;
    (json!([rows(db.pool(), case.end).await, (case.outside)(&outside)]), died)
}

/// Whether the worker dies before it has nothing left to do.
async fn dies(worker: WorkerProcess, pool: &PgPool) -> bool {
    const OVER: &str = "select not exists (select from engine.job_state where state not in ('completed', 'cancelled', 'dead'))";
    let worker = RefCell::new(worker);
    wait::until("it dies, or has nothing left to do", Duration::from_secs(30), async || {
        worker.borrow_mut().has_ended() || sqlx::query_scalar(OVER).fetch_one(pool).await.expect("the state of jobs can be read")
    })
    .await;
    // One that dies when its last end is recorded does so a moment after that can be seen; most do not.
    let dying = wait::until("it dies", Duration::from_secs(30), async || worker.borrow_mut().has_ended());
    let died = timeout(Duration::from_millis(300), dying).await.is_ok();
    worker.into_inner().kill();
    died
}

async fn survives(case: Case, least_deaths: usize) {
    survives_at(case, &PLACES.map(|(statement, side)| (statement, side, 1)), least_deaths).await;
}

/// As [`survives`], with places of its own: where a worker comes for the `n`th time.
async fn survives_at(case: Case, places: &[(&str, Side, u32)], least_deaths: usize) {
    let (expected, _) = end_of(&case, None).await;
    let mut deaths = 0;
    for &(statement, side, n) in places {
        let (end, died) = end_of(&case, Some((statement, side, n))).await;
        assert_eq!(end, expected, "after a death {side:?} {statement}, the {n}th time");
        deaths += usize::from(died);
    }
    assert!(deaths >= least_deaths, "only {deaths} places were come to");
}

const fn nothing(_: &Outside) -> Value {
    Value::Null
}

/// The distinct messages in Slack.
fn messages(outside: &Outside) -> Value {
    let mut told = crate::alerts::told(outside);
    told.sort();
    told.dedup();
    json!(told)
}

async fn enqueue<J: Job>(pool: &PgPool, job: J) {
    Client::new(pool.clone()).enqueue(&NewJob::of(&job).expect("it serialises")).await.expect("enqueued");
}

#[tokio::test]
async fn an_alert_is_posted() {
    let case = Case {
        prepare: |pool| Box::pin(async { execute(pool, "select raw_ops.raise_alert('warning', 'Stock', 'low', key => 'stock')").await }),
        end: "select channel, severity, title, delivery_status, repeats from raw_ops.alert_log",
        outside: messages,
    };
    survives(case, 4).await;
}

#[tokio::test]
async fn an_event_is_told_under_one_id() {
    let case = Case {
        prepare: |pool| {
            Box::pin(async {
                let event = "with ann as (insert into raw_ops.customers (email) values ('ann@example.com') returning id, email)
                    insert into raw_ops.lifecycle_events (event_name, idempotency_key, customer_id, customer_email, event_data, scheduled_for)
                    select 'transition_guide', 'k1', id, email, '{}', now() from ann";
                execute(pool, event).await;
            })
        },
        end: "select status, last_error, customerio_event_id from raw_ops.lifecycle_events",
        outside: |outside| json!(outside.customerio.events().iter().map(|event| event.id.clone()).collect::<Vec<_>>()),
    };
    survives(case, 3).await;
}

#[tokio::test]
async fn a_mail_goes_out_at_most_once() {
    let case = Case {
        prepare: |pool| Box::pin(async { _ = crate::outbox::put(pool, "ann@example.com").await }),
        // After the request nobody can know: then it is parked until its report comes.
        end: "select count(*) from raw_ops.outbox where state in ('sent', 'unknown')",
        outside: |outside| json!(outside.customerio.message_count() <= 1),
    };
    survives(case, 4).await;
}

#[tokio::test]
async fn a_sweep_finds_what_has_no_job() {
    let case = Case {
        prepare: |pool| {
            Box::pin(async move {
                let row = "begin; set local rawops.seeding = on;
                    insert into raw_ops.outbox (target, event_type, payload_json, created_at) values ('customerio', 'order_dispatched',
                        '{\"to\": \"ann@example.com\", \"transactional_message_id\": 1}', now() - interval '1 hour'); commit";
                sqlx::raw_sql(AssertSqlSafe(row)).execute(pool).await.expect("the row is sound");
                enqueue(pool, SweepMessages {}).await;
            })
        },
        end: "select count(*) from raw_ops.outbox where state in ('sent', 'unknown')",
        outside: |outside| json!(outside.customerio.message_count() <= 1),
    };
    survives(case, 3).await;
}

#[tokio::test]
async fn failures_are_reported_once() {
    let case = Case {
        prepare: |pool| {
            Box::pin(async {
                let notice = "insert into engine.notice (at, level, job_id, attempt, queue, kind, category, error)
                    select engine.now(), 'alert', n, 2, 'orders', 'orders.process_order', 'network', 'away' from generate_series(1, 3) n";
                execute(pool, notice).await;
                enqueue(pool, ReportFailures {}).await;
            })
        },
        end: "select title, delivery_status, repeats, (select count(*) from engine.notice) from raw_ops.alert_log",
        outside: messages,
    };
    survives(case, 5).await;
}

#[tokio::test]
async fn an_order_is_written_down_and_gets_its_stock_once() {
    let case = Case {
        prepare: |pool| {
            Box::pin(async {
                _ = inbox::receive(pool, "orders/paid", &inbox::paid()).await;
            })
        },
        end: "select o.order_number_label, o.status, o.total_inc_vat, (select count(*) from raw_ops.order_items),
                  (select count(*) from raw_ops.customers), (select array_agg(state) from raw_ops.allocation_queue),
                  (select array_agg(processing_status) from raw_ops.webhook_inbox) from raw_ops.orders o",
        outside: nothing,
    };
    survives(case, 4).await;
}

#[tokio::test]
async fn stock_is_reserved_once() {
    let case = Case {
        prepare: |pool| {
            Box::pin(async {
                let beef = product(pool, "BEEF").await;
                Batch::of(9, 30).put(pool, "b1", beef).await;
                order(pool, &[(beef, 4)]).await;
            })
        },
        end: "select b.qty_reserved, q.state, (select sum(qty_allocated) from raw_ops.allocations) from raw_ops.batches b, raw_ops.allocation_queue q",
        outside: nothing,
    };
    survives(case, 4).await;
}

#[tokio::test]
async fn an_address_reaches_both_systems_and_is_written_once() {
    let case = Case {
        prepare: |pool| {
            Box::pin(async {
                addresses::settle(pool).await;
                _ = addresses::moves(pool, "2 New Road", "YO1 7EP").await;
            })
        },
        end: "select shopify_state, seal_state, shopify_error, seal_error from raw_ops.address_changes",
        outside: |outside| json!([addresses::at_shopify(outside), addresses::at_seal(outside)]),
    };
    survives(case, 4).await;
}

#[tokio::test]
async fn shopify_hears_of_an_address_once() {
    let case = Case {
        prepare: |pool| {
            Box::pin(async {
                addresses::settle(pool).await;
                // Seal is not told, so that every place is one of the job for Shopify.
                let change = "insert into raw_ops.address_changes
                        (customer_id, changed_by, old_address, new_address, source, seal_state)
                    select c.id, 'ada', raw_ops.address_of(c), raw_ops.address_of(c) || '{\"address1\": \"2 New Road\"}', 'portal', 'not_needed'
                    from raw_ops.customers c";
                execute(pool, change).await;
            })
        },
        end: "select shopify_state, shopify_error, seal_state from raw_ops.address_changes",
        outside: |outside| json!(addresses::at_shopify(outside)),
    };
    survives(case, 4).await;
}

#[tokio::test]
async fn a_parcel_that_is_held_up_is_told_of_once() {
    let case = Case {
        prepare: |pool| Box::pin(couriers::held_up(pool)),
        // A mail whose outcome nobody knows is parked.
        end: "select event_code, notification_channel, (select count(*) from raw_ops.exceptions_queue),
                  (select count(*) from raw_ops.outbox where state in ('sent', 'unknown')) from raw_ops.courier_events",
        outside: |outside| json!([messages(outside), outside.customerio.message_count() <= 1]),
    };
    survives(case, 4).await;
}

#[tokio::test]
async fn a_parcel_that_was_too_warm_is_told_of_once() {
    let case = Case {
        prepare: |pool| Box::pin(too_warm(pool)),
        end: "select pass_class, (select count(*) from raw_ops.temperature_logger_data), (select count(*) from raw_ops.exceptions_queue)
              from raw_ops.temperature_audits",
        outside: messages,
    };
    survives(case, 4).await;
}

#[tokio::test]
async fn the_house_is_looked_after() {
    let case = Case {
        prepare: |pool| {
            Box::pin(async {
                let beef = product(pool, "BEEF").await;
                order(pool, &[(beef, 4)]).await;
                execute(pool, "update raw_ops.allocation_alert_config set threshold_value = 0").await;
                execute(pool, "update raw_ops.inventory_on_hand set qty_available = 100").await;
                enqueue(pool, RunMonitor { check: Check::DailySnapshot }).await;
                enqueue(pool, WatchQueue {}).await;
                enqueue(pool, ReconcileStock {}).await;
                enqueue(pool, PruneEnqueueKeys {}).await;
                let lamb = product(pool, "LAMB").await;
                Batch::of(9, 30).put(pool, "l1", lamb).await;
                for statement in [
                    "insert into raw_ops.orders (status) values ('PENDING')",
                    "insert into raw_ops.soft_reservations (order_id, batch_id, units, expires_at)
                     select o.id, b.id, 2, now() from raw_ops.orders o, raw_ops.batches b where o.status = 'PENDING' and b.batch_code = 'l1'",
                    "update raw_ops.batches set qty_soft_reserved = 2 where batch_code = 'l1'",
                ] {
                    execute(pool, statement).await;
                }
                enqueue(pool, ReleaseHolds {}).await;
            })
        },
        end: "select (select count(*) from raw_ops.monitoring_runs), (select count(*) from raw_ops.allocation_alert_history),
                  (select count(*) from raw_ops.soft_reservations), (select sum(qty_soft_reserved) from raw_ops.batches),
                  (select count(*) from raw_ops.ops_events where kind = 'stock_hold_ended'),
                  (select array_agg(title || ' ' || delivery_status order by title) from raw_ops.alert_log)",
        outside: messages,
    };
    survives(case, 4).await;
}

#[tokio::test]
async fn a_box_has_one_instruction_and_one_judgement() {
    let case = Case {
        prepare: |pool| {
            Box::pin(async {
                clock::own(pool).await;
                clock::set(pool, "2026-07-01T05:00:00Z".parse().expect("a moment")).await;
                let beef = product(pool, "BEEF").await;
                Batch::of(9, 30).put(pool, "b1", beef).await;
                for postcode in ["SW1A 1AA", "nowhere"] {
                    let order = order(pool, &[(beef, 4)]).await;
                    execute(pool, &format!("update raw_ops.orders set ship_postcode = '{postcode}' where id = '{order}'")).await;
                    assert_eq!(allocate(pool, order).await.0, "allocated");
                }
                let check = "insert into raw_ops.pack_quality_checks (packed_by, expected_total_weight_kg, actual_weight_kg)
                    values ('ann', 6, 7)";
                execute(pool, check).await;
                enqueue(pool, PlanPackDay::default()).await;
            })
        },
        end: "select (select jsonb_agg(jsonb_build_array(box_size, pcm_packs_count, pack_on)) from raw_ops.packing_instructions),
                  (select array_agg(issue_description) from raw_ops.exceptions_queue), (select weight_variance_kg from raw_ops.pack_quality_checks),
                  (select array_agg(title order by title) from raw_ops.alert_log)",
        outside: messages,
    };
    survives(case, 4).await;
}
