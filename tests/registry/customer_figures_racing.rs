//! Writers of one customer at the same time: whoever comes second counts what the first did.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::AssertSqlSafe;
use tokio::task::JoinSet;

use super::{
    customer_changes::{CUSTOMERS, customer},
    customer_figures::{customers, drift},
};
use crate::{
    orders::inbox::{count, execute},
    support::{Database, wait::until},
};

/// Ada has an order and a subscription, Bob an order.
const BEFORE: [&str; 3] = [
    "insert into raw_ops.orders (id, customer_id, status, ordered_at) values ('{order}', '{ada}', 'DELIVERED', now() - interval '1 h')",
    "insert into raw_ops.orders (customer_id, status, ordered_at) values ('{bob}', 'DELIVERED', now() - interval '2 h')",
    "insert into raw_ops.subscriptions (customer_id, shopify_subscription_id, price_gbp) values ('{ada}', 'first', 60)",
];

/// What the first does and, while the first commits, the second.
const RACES: [(&str, &str); 6] = [
    (
        "insert into raw_ops.orders (customer_id, status, total_inc_vat, total_gbp) values ('{ada}', 'DELIVERED', 5, 5)",
        "insert into raw_ops.orders (customer_id, status, total_inc_vat, total_gbp) values ('{ada}', 'DELIVERED', 7, 7)",
    ),
    ("insert into raw_ops.orders (customer_id, status) values ('{ada}', 'DELIVERED')", "delete from raw_ops.orders where id = '{order}'"),
    (
        "insert into raw_ops.orders (customer_id, status) values ('{ada}', 'DELIVERED'), ('{bob}', 'DELIVERED')",
        "update raw_ops.orders set status = 'CANCELLED' where customer_id in ('{ada}', '{bob}')",
    ),
    ("update raw_ops.orders set customer_id = '{bob}' where id = '{order}'", "insert into raw_ops.shipments (order_id) values ('{order}')"),
    (
        "insert into raw_ops.subscriptions (customer_id, shopify_subscription_id, price_gbp) values ('{ada}', 'second', 60)",
        "update raw_ops.subscriptions set status = 'paused' where shopify_subscription_id = 'first'",
    ),
    ("insert into raw_ops.shipments (order_id) values ('{order}')", "update raw_ops.orders set customer_id = '{bob}' where id = '{order}'"),
];

fn named(statement: &str) -> AssertSqlSafe<String> {
    let (ada, bob, order) = (customer(1), customer(2), customer(3));
    AssertSqlSafe(statement.replace("{ada}", &ada.to_string()).replace("{bob}", &bob.to_string()).replace("{order}", &order.to_string()))
}

async fn two_customers() -> Database {
    let db = Database::new().await;
    customers(db.pool(), 2).await;
    for statement in BEFORE {
        sqlx::raw_sql(named(statement)).execute(db.pool()).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    db
}

/// Stops the first in the middle of its commit, when it has counted, until the second waits for it.
async fn race(db: &Database, (first, second): (&'static str, &'static str)) {
    let mut tx = db.pool().begin().await.expect("a transaction can begin");
    sqlx::raw_sql(named(first)).execute(&mut *tx).await.unwrap_or_else(|error| panic!("{first}: {error}"));
    sqlx::raw_sql("set constraints all immediate").execute(&mut *tx).await.unwrap_or_else(|error| panic!("{first}: {error}"));
    let pool = db.pool().clone();
    let later = tokio::spawn(async move { sqlx::raw_sql(named(second)).execute(&pool).await });
    until("the second waits for the first", Duration::from_secs(20), async || {
        count(db.pool(), "pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'").await > 0
    })
    .await;
    tx.commit().await.unwrap_or_else(|error| panic!("{first}: {error}"));
    later.await.expect("no panic").unwrap_or_else(|error| panic!("{second}: {error}"));
}

#[tokio::test]
async fn the_second_writer_of_a_customer_counts_what_the_first_wrote() {
    for each in RACES {
        let db = two_customers().await;
        race(&db, each).await;
        let found = drift(db.pool()).await;
        assert!(found.is_empty(), "{each:?}: {found:#?}");
    }
}

/// The races are real: they are lost by writers that do not take their turn first.
#[tokio::test]
async fn without_the_lock_the_second_writer_misses_the_first() {
    for each in RACES {
        let db = two_customers().await;
        execute(
            db.pool(),
            "create or replace function raw_ops.lock_customer_figures(customers uuid[]) returns void language sql as 'select'",
        )
        .await;
        race(&db, each).await;
        assert!(!drift(db.pool()).await.is_empty(), "{each:?}");
    }
}

#[tokio::test]
async fn two_first_orders_of_a_customer_are_two() {
    let db = Database::new().await;
    customers(db.pool(), 1).await;
    race(&db, RACES[0]).await;
    assert_eq!(count(db.pool(), "raw_ops.v_customer_context where orders = 2 and lifetime_value_gbp = 12").await, 1);
}

#[tokio::test]
async fn a_transaction_with_an_old_snapshot_is_told_to_try_again() {
    let db = two_customers().await;
    let mut tx = db.pool().begin().await.expect("a transaction can begin");
    sqlx::raw_sql("set transaction isolation level repeatable read; select 1 from raw_ops.orders")
        .execute(&mut *tx)
        .await
        .expect("a snapshot");
    sqlx::raw_sql(named("insert into raw_ops.orders (customer_id, status) values ('{ada}', 'PENDING')"))
        .execute(db.pool())
        .await
        .expect("the order is sound");
    sqlx::raw_sql(named(RACES[0].1)).execute(&mut *tx).await.expect("the order is sound");
    let late = tx.commit().await.expect_err("it cannot see the other order");
    assert_eq!(late.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(), Some("40001"));
}

#[tokio::test]
async fn nobody_waits_for_a_writer_of_the_same_customer_that_has_not_come_to_its_commit() {
    for (first, second) in [RACES[0], RACES[1], RACES[5]] {
        let db = two_customers().await;
        let mut tx = db.pool().begin().await.expect("a transaction can begin");
        sqlx::raw_sql(named(first)).execute(&mut *tx).await.unwrap_or_else(|error| panic!("{first}: {error}"));
        let mut other = db.pool().begin().await.expect("a transaction can begin");
        sqlx::raw_sql("set local lock_timeout = '100ms'").execute(&mut *other).await.expect("a limit can be set");
        sqlx::raw_sql(named(second)).execute(&mut *other).await.unwrap_or_else(|error| panic!("{second}: {error}"));
        other.commit().await.unwrap_or_else(|error| panic!("{second}: {error}"));
        tx.commit().await.unwrap_or_else(|error| panic!("{first}: {error}"));
        let found = drift(db.pool()).await;
        assert!(found.is_empty(), "{first}, {second}: {found:#?}");
    }
}

/// Each statement touches every customer, in an order of its own.
#[tokio::test]
async fn those_who_write_many_customers_never_wait_for_each_other_in_a_circle() {
    const WRITERS: u32 = 8;
    let db = Database::new().await;
    customers(db.pool(), CUSTOMERS).await;
    execute(
        db.pool(),
        &format!(
            "insert into raw_ops.orders (customer_id, status, shopify_order_id) select c.id, 'DELIVERED', n || '/' || c.email
             from generate_series(1, {WRITERS}) n cross join raw_ops.customers c order by md5(n || c.id::text)"
        ),
    )
    .await;
    let mut writers = JoinSet::new();
    for number in 1..=WRITERS {
        let pool = db.pool().clone();
        let mut random = StdRng::seed_from_u64(u64::from(number));
        writers.spawn(async move {
            for _ in 0..25 {
                let money = random.random_range(1..100);
                let change = format!(
                    "update raw_ops.orders o set total_inc_vat = {money}, total_gbp = {money}
                     from (select id from raw_ops.orders where shopify_order_id like '{number}/%' order by md5(id::text || {money})) mine
                     where o.id = mine.id"
                );
                execute(&pool, &change).await;
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.expect("no statement fails");
    }
    let found = drift(db.pool()).await;
    assert!(found.is_empty(), "{found:#?}");
}
