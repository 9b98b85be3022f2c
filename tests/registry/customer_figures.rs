//! The figures that `v_customer_context` keeps ready are what counting would give, whatever changes the tables.

use rand::RngExt;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use super::{
    customer_changes::{CUSTOMERS, Writer, customer},
    stage::rows,
};
use crate::{
    engine::alone::migrate,
    orders::inbox::{count, execute},
    support::Database,
};

/// The view as it was before it had a table: everything is looked up.
const COUNTED: &str = include_str!("customer_context.sql");

/// Customers of whom the view says something else than counting does.
pub async fn drift(pool: &PgPool) -> Vec<serde_json::Value> {
    let query = format!(
        "select counted::text as counted, shown::text as shown
         from ({COUNTED}) counted full join raw_ops.v_customer_context shown on shown.customer_id = counted.customer_id
         where counted::text is distinct from shown::text"
    );
    rows(pool, &query).await
}

/// So many customers without anything.
pub async fn customers(pool: &PgPool, how_many: u32) {
    for number in 1..=how_many {
        execute(
            pool,
            &format!("insert into raw_ops.customers (id, email) values ('{}', 'customer{number}@example.com')", customer(number)),
        )
        .await;
    }
}

async fn run(connection: &mut PgConnection, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

#[tokio::test]
async fn figures_are_what_counting_gives_after_any_statement() {
    let db = Database::new().await;
    customers(db.pool(), CUSTOMERS).await;
    let mut writer = Writer::new(0xF16);
    let mut most = 0;
    for step in 0..400 {
        let mut tx = db.pool().begin().await.expect("a transaction can begin");
        if writer.random.random_bool(0.1) {
            run(&mut tx, "set constraints all immediate").await;
        }
        let mut said = Vec::new();
        for _ in 0..writer.random.random_range(1..=3) {
            let statement = writer.statement();
            if writer.random.random_bool(0.1) {
                run(&mut tx, &format!("savepoint tried; {statement}; rollback to savepoint tried")).await;
            }
            run(&mut tx, &statement).await;
            said.push(statement);
        }
        if writer.random.random_bool(0.1) {
            tx.rollback().await.expect("a transaction can be given up");
        } else {
            tx.commit().await.unwrap_or_else(|error| panic!("step {step}: {said:#?}: {error}"));
        }
        let found = drift(db.pool()).await;
        let whole = "raw_ops.v_customer_context where orders > 1 and newest_shipment_id is not null and active_subscriptions > 0";
        most = most.max(count(db.pool(), whole).await);
        assert!(found.is_empty(), "step {step}: {said:#?}\n{found:#?}");
    }
    assert_eq!(count(db.pool(), "raw_ops.customer_figures_due").await, 0);
    assert!(most > 3, "at most {most} customers had everything at a time");
}

#[tokio::test]
async fn a_statement_that_changes_nothing_shown_writes_no_figures() {
    let db = Database::new().await;
    customers(db.pool(), CUSTOMERS).await;
    let mut writer = Writer::new(1);
    for statement in [writer.orders(), writer.orders(), writer.subscriptions(), writer.shipments()] {
        execute(db.pool(), &statement).await;
    }
    let versions = "select string_agg(f.xmin::text, ' ' order by f.customer_id) as versions from raw_ops.customer_figures f";
    let before = rows(db.pool(), versions).await;
    assert!(before[0]["versions"].is_string());
    for statement in [
        "update raw_ops.orders set ship_name = 'Somebody else', status = status",
        "update raw_ops.subscriptions set last_synced_at = now(), seal_payload = '{}'",
        "update raw_ops.shipments set service = 'next day', courier_cost_gbp = 3",
        "update raw_ops.customers set city = 'York'",
    ] {
        execute(db.pool(), statement).await;
    }
    assert_eq!(rows(db.pool(), versions).await, before);
}

#[tokio::test]
async fn a_customer_can_be_erased() {
    let db = Database::new().await;
    customers(db.pool(), 2).await;
    for number in [1, 2] {
        let order = format!("insert into raw_ops.orders (customer_id, status) values ('{}', 'DELIVERED')", customer(number));
        execute(db.pool(), &order).await;
    }
    execute(db.pool(), "insert into raw_ops.shipments (order_id) select id from raw_ops.orders").await;
    assert_eq!(count(db.pool(), "raw_ops.customer_figures").await, 2);

    let (gone, at_once) = (customer(1), customer(2));
    execute(
        db.pool(),
        &format!("delete from raw_ops.shipments s using raw_ops.orders o where o.id = s.order_id and o.customer_id = '{gone}'"),
    )
    .await;
    execute(db.pool(), &format!("delete from raw_ops.orders where customer_id = '{gone}'")).await;
    execute(db.pool(), &format!("delete from raw_ops.customers where id = '{gone}'")).await;
    let everything = format!(
        "with s as (delete from raw_ops.shipments), o as (delete from raw_ops.orders) delete from raw_ops.customers where id = '{at_once}'"
    );
    execute(db.pool(), &everything).await;
    assert_eq!(count(db.pool(), "raw_ops.customer_figures").await, 0);
    assert_eq!(count(db.pool(), "raw_ops.customers").await, 0);
}

#[tokio::test]
async fn rows_that_were_there_before_the_table_are_counted() {
    let db = Database::empty().await;
    migrate(db.pool(), |number, _| number < 133).await;
    customers(db.pool(), CUSTOMERS).await;
    let mut writer = Writer::new(2);
    for _ in 0..4 {
        for statement in [writer.orders(), writer.subscriptions(), writer.shipments()] {
            execute(db.pool(), &statement).await;
        }
    }
    migrate(db.pool(), |number, _| number >= 133).await;
    assert_eq!(drift(db.pool()).await, Vec::<serde_json::Value>::new());
    let shown = "select sum(orders) > 0 as orders, count(subscription_id) > 0 as subscriptions, count(newest_shipment_id) > 0 as shipments
                 from raw_ops.v_customer_context";
    assert_eq!(rows(db.pool(), shown).await, [json!({ "orders": true, "subscriptions": true, "shipments": true })]);
}

#[tokio::test]
async fn a_row_that_is_wrong_is_right_after_it_is_counted_anew() {
    let db = Database::new().await;
    customers(db.pool(), 2).await;
    execute(db.pool(), &format!("insert into raw_ops.orders (customer_id, status) values ('{}', 'DELIVERED')", customer(1))).await;
    execute(db.pool(), "update raw_ops.customer_figures set orders = 7, courier = 'nobody'").await;
    assert_eq!(drift(db.pool()).await.len(), 1);
    for function in ["lock_customer_figures", "refresh_customer_figures"] {
        execute(db.pool(), &format!("select raw_ops.{function}(array(select id from raw_ops.customers))")).await;
    }
    assert_eq!(drift(db.pool()).await, Vec::<serde_json::Value>::new());
}
