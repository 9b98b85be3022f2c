//! Orders that wait for stock: who is told when there is more, and in which order.

use serde_json::json;

use crate::orders::inbox::{count, execute, later, paid, process, row};
use crate::support::{
    Database, run_all,
    shelf::{Batch, allocate, order, pass, product, release, rows},
};

/// Ends every job, as if workers had run them.
async fn forget_jobs(db: &Database) {
    execute(
        db.pool(),
        "with gone as (delete from engine.ready returning job_id), keys as (delete from engine.unique_key)
         delete from engine.job where id in (select job_id from gone)",
    )
    .await;
}

const WOKEN: &str = "select args ->> 'order_id' from engine.job_state where kind = 'allocation.allocate_order' order by id";

#[tokio::test]
async fn a_release_wakes_those_who_wait_for_its_product_the_oldest_first() {
    let db = Database::new().await;
    let (beef, lamb) = (product(db.pool(), "BEEF").await, product(db.pool(), "LAMB").await);
    let held = Batch::default().status("QA_HOLD").put(db.pool(), "b1", beef).await;
    let mut waiting = Vec::new();
    for age in [3, 1, 2] {
        let order = order(db.pool(), &[(beef, 1)]).await;
        let aged = format!("update raw_ops.allocation_queue set created_at = now() - interval '{age} h' where order_id = '{order}'");
        execute(db.pool(), &aged).await;
        waiting.push((age, order));
    }
    let urgent = order(db.pool(), &[(beef, 1), (lamb, 1)]).await;
    execute(db.pool(), &format!("update raw_ops.allocation_queue set priority = 1 where order_id = '{urgent}'")).await;
    order(db.pool(), &[(lamb, 1)]).await;
    forget_jobs(&db).await;

    pass(db.pool(), held).await;
    assert_eq!(release(db.pool(), held).await, Ok("released".into()));
    waiting.sort_by_key(|(age, _)| std::cmp::Reverse(*age));
    let mut expected = vec![json!([urgent])];
    expected.extend(waiting.iter().map(|(_, order)| json!([order])));
    assert_eq!(rows(db.pool(), WOKEN).await, json!(expected));
}

#[tokio::test]
async fn an_order_that_ends_wakes_those_who_wait_for_any_of_its_products_the_oldest_first() {
    let db = Database::new().await;
    let (beef, lamb) = (product(db.pool(), "BEEF").await, product(db.pool(), "LAMB").await);
    for (code, product) in [("b1", beef), ("l1", lamb)] {
        Batch::of(2, 30).put(db.pool(), code, product).await;
    }
    let ending = order(db.pool(), &[(beef, 2), (lamb, 2)]).await;
    assert_eq!(allocate(db.pool(), ending).await, ("allocated".into(), 4, 0));
    // Whichever product is looked at first, somebody younger waits for it who wants both.
    let mut waiting = Vec::new();
    for (age, lines) in [(4, vec![(lamb, 1)]), (3, vec![(beef, 1)]), (2, vec![(lamb, 1), (beef, 1)])] {
        let order = order(db.pool(), &lines).await;
        let aged = format!("update raw_ops.allocation_queue set created_at = now() - interval '{age} h' where order_id = '{order}'");
        execute(db.pool(), &aged).await;
        waiting.push(json!([order]));
    }
    forget_jobs(&db).await;
    execute(db.pool(), &format!("update raw_ops.orders set status = 'CANCELLED' where id = '{ending}'")).await;
    execute(db.pool(), &format!("select raw_ops.request_allocation('{ending}', 'CANCELLED')")).await;
    assert_eq!(rows(db.pool(), WOKEN).await, json!(waiting));
}

/// The younger order's job was enqueued first: it takes what the older does not need, and the rest once the older had its turn.
#[tokio::test]
async fn a_younger_order_leaves_to_an_older_one_that_has_a_job_what_it_needs() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    let old = order(db.pool(), &[(beef, 4)]).await;
    forget_jobs(&db).await;
    let young = order(db.pool(), &[(beef, 3), (beef, 2)]).await;
    Batch::of(6, 30).put(db.pool(), "b1", beef).await;
    execute(db.pool(), &format!("select raw_ops.wake_waiting_orders('{beef}'::uuid)")).await;
    assert_eq!(rows(db.pool(), WOKEN).await, json!([[young], [old]]));
    assert_eq!(allocate(db.pool(), young).await, ("partial".into(), 2, 3));
    execute(db.pool(), "update raw_ops.batches set qty_on_hand = 8").await;
    run_all(&db, jobs::kinds()).await;
    let given = "select i.order_id, sum(a.qty_allocated), min(a.remaining_qty) from raw_ops.allocations a
        join raw_ops.order_items i on i.id = a.order_item_id group by 1 order by min(a.created_at)";
    assert_eq!(rows(db.pool(), given).await, json!([[young, 4, 0], [old, 4, 0]]), "nothing is left over");
}

#[tokio::test]
async fn an_older_request_that_has_no_job_keeps_nothing_from_others() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    order(db.pool(), &[(beef, 4)]).await;
    forget_jobs(&db).await;
    let young = order(db.pool(), &[(beef, 3)]).await;
    Batch::of(3, 30).put(db.pool(), "b1", beef).await;
    assert_eq!(allocate(db.pool(), young).await, ("allocated".into(), 3, 0));
}

#[tokio::test]
async fn an_older_request_whose_job_waits_long_keeps_nothing_from_others() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    order(db.pool(), &[(beef, 4)]).await;
    let later = "with gone as (delete from engine.ready returning job_id, lane_id, attempt)
                 insert into engine.scheduled (run_at, job_id, lane_id, attempt) select now() + interval '1 h', job_id, lane_id, attempt from gone";
    execute(db.pool(), later).await;
    let young = order(db.pool(), &[(beef, 3)]).await;
    Batch::of(3, 30).put(db.pool(), "b1", beef).await;
    assert_eq!(allocate(db.pool(), young).await, ("allocated".into(), 3, 0));
}

#[tokio::test]
async fn who_asks_without_a_job_and_leaves_stock_to_an_older_one_is_looked_at_again() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    let old = order(db.pool(), &[(beef, 4)]).await;
    let young = order(db.pool(), &[(beef, 4)]).await;
    forget_jobs(&db).await;
    Batch::of(5, 30).put(db.pool(), "b1", beef).await;
    execute(db.pool(), &format!("select raw_ops.enqueue_allocation('{old}')")).await;
    assert_eq!(allocate(db.pool(), young).await, ("partial".into(), 1, 3));
    assert_eq!(rows(db.pool(), WOKEN).await, json!([[old], [young]]));
}

#[tokio::test]
async fn a_release_by_plain_sql_wakes_them_too_and_only_once() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::default().status("QA_HOLD").put(db.pool(), "b1", beef).await;
    order(db.pool(), &[(beef, 1)]).await;
    forget_jobs(&db).await;
    execute(db.pool(), "update raw_ops.batches set notes = 'x', status = status").await;
    assert_eq!(count(db.pool(), "engine.job").await, 0, "nothing was released");
    execute(db.pool(), "update raw_ops.batches set status = 'RELEASED'").await;
    assert_eq!(count(db.pool(), "engine.job").await, 1);
    forget_jobs(&db).await;
    execute(db.pool(), "update raw_ops.batches set status = 'RELEASED'").await;
    assert_eq!(count(db.pool(), "engine.job").await, 0, "it was released already");
}

#[tokio::test]
async fn a_cancelled_order_gives_its_stock_to_who_waits_for_it() {
    let db = Database::new().await;
    let beef = product(db.pool(), "RAW-ADULT-1KG").await;
    Batch::of(4, 30).put(db.pool(), "b1", beef).await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    let first = first_order(&db).await;
    execute(db.pool(), "delete from raw_ops.order_items where product_id is null").await;
    assert_eq!(allocate(db.pool(), first).await, ("allocated".into(), 4, 0));
    let second = order(db.pool(), &[(beef, 3)]).await;
    assert_eq!(allocate(db.pool(), second).await, ("waiting".into(), 0, 3));
    forget_jobs(&db).await;

    process(db.pool(), &later(1, json!({ "cancelled_at": "2026-03-29T01:00:02Z" }))).await.expect("the cancel is sound");
    assert_eq!(rows(db.pool(), "select qty_on_hand, qty_reserved from raw_ops.batches").await, json!([[4, 0]]));
    assert_eq!(count(db.pool(), "raw_ops.allocations").await, 0);
    assert_eq!(rows(db.pool(), WOKEN).await, json!([[second]]));
    let told = row(
        db.pool(),
        "select entity_id = (select id from raw_ops.orders where status = 'CANCELLED') as of_it, meta -> 'units' as units
                   from raw_ops.ops_events where kind = 'allocation_freed'",
    )
    .await;
    assert_eq!(told, json!({ "of_it": true, "units": 4 }));
    assert_eq!(allocate(db.pool(), second).await, ("allocated".into(), 3, 0));
}

async fn first_order(db: &Database) -> uuid::Uuid {
    sqlx::query_scalar("select id from raw_ops.orders").fetch_one(db.pool()).await.expect("one order")
}

#[tokio::test]
async fn stock_that_has_left_is_not_given_back() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::of(9, 30).put(db.pool(), "b1", beef).await;
    let order = order(db.pool(), &[(beef, 4)]).await;
    allocate(db.pool(), order).await;
    execute(db.pool(), "insert into raw_ops.shipments (order_id, status) select id, 'DISPATCHED' from raw_ops.orders").await;
    execute(db.pool(), "select raw_ops.request_allocation(id, 'REFUNDED') from raw_ops.orders").await;
    assert_eq!(rows(db.pool(), "select qty_on_hand, qty_reserved from raw_ops.batches").await, json!([[5, 0]]));
    assert_eq!(count(db.pool(), "raw_ops.allocations").await, 1);
}

/// While one order looks for stock in vain, and before its job has ended, a batch is released: the release must wait
/// until the order is seen waiting, or it would find the order's key taken and wake nobody.
#[tokio::test]
async fn stock_that_arrives_while_an_order_looks_for_it_is_not_missed() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    let held = Batch::default().status("QA_HOLD").put(db.pool(), "b1", beef).await;
    pass(db.pool(), held).await;
    let order = order(db.pool(), &[(beef, 1)]).await;

    let mut looking = db.pool().begin().await.expect("a transaction begins");
    let outcome: String = sqlx::query_scalar("select outcome from raw_ops.allocate_order_to_batches($1)")
        .bind(order)
        .fetch_one(&mut *looking)
        .await
        .expect("the order is there");
    assert_eq!(outcome, "waiting");
    let pool = db.pool().clone();
    let releasing = tokio::spawn(async move { release(&pool, held).await });
    crate::support::wait::until("the release waits for the order", std::time::Duration::from_secs(20), async || {
        count(db.pool(), "pg_stat_activity where wait_event_type = 'Lock' and query like '%release_batch%' and pid <> pg_backend_pid()")
            .await
            > 0
    })
    .await;
    // What complete_in does: the job ends in the transaction that looked.
    sqlx::query("with gone as (delete from engine.ready returning job_id) delete from engine.unique_key")
        .execute(&mut *looking)
        .await
        .expect("the job can end");
    looking.commit().await.expect("a transaction ends");
    assert_eq!(releasing.await.expect("no panic"), Ok("released".into()));
    assert_eq!(count(db.pool(), "engine.unique_key").await, 1, "the order looks again");
    execute(db.pool(), "delete from engine.job where id not in (select job_id from engine.ready)").await;
}
