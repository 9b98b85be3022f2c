//! The same story each time, in every table, and no job.

use std::{collections::BTreeMap, time::Instant};

use sandbox::company::{self, Error, LEFT_EMPTY, Options};
use sqlx::AssertSqlSafe;

use super::{fill, seeded, until};
use crate::support::{Database, ledger::count};

/// A digest of all rows of each table.
async fn digests(db: &Database) -> BTreeMap<&'static str, String> {
    let mut digests = BTreeMap::new();
    for table in company::tables() {
        let query = format!("select coalesce(md5(string_agg(t::text, E'\\n' order by t::text collate \"C\")), '') from raw_ops.{table} t");
        let digest = sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(db.pool()).await.expect("a table can be read");
        digests.insert(table, digest);
    }
    digests
}

#[tokio::test]
async fn the_same_seed_makes_the_same_rows() {
    let (one, other) = (seeded(200).await, seeded(200).await);
    let (one, other) = (digests(&one).await, digests(&other).await);
    let differ: Vec<_> = one.iter().filter(|(table, digest)| other[*table] != **digest).map(|(table, _)| table).collect();
    assert!(differ.is_empty(), "other rows in {differ:?}");
}

#[tokio::test]
async fn another_seed_makes_another_company() {
    let (one, other) = (seeded(50).await, Database::new().await);
    fill(&other, Options { orders: 50, seed: 2, until: until(), add: false }).await.expect("an empty database takes it");
    let (one, other) = (digests(&one).await, digests(&other).await);
    for table in ["customers", "orders", "order_items", "batches", "shipments"] {
        assert_ne!(one[table], other[table], "{table}");
    }
}

#[tokio::test]
async fn every_table_of_the_registry_is_filled_or_left_empty_for_a_reason() {
    let db = seeded(2_000).await;
    let owners: toml::Table = toml::from_str(include_str!("../registry_owners.toml")).expect("the list of tables");
    let empty: Vec<&str> = LEFT_EMPTY.iter().map(|(table, _)| *table).collect();
    let filled: Vec<&str> = company::tables().collect();
    for table in owners.keys() {
        assert_ne!(empty.contains(&table.as_str()), filled.contains(&table.as_str()), "{table} is in one of the lists");
    }
    for table in filled {
        let rows: i64 =
            sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from raw_ops.{table}"))).fetch_one(db.pool()).await.expect("a count");
        assert!(rows > 0, "{table} is empty");
    }
}

#[tokio::test]
async fn it_writes_as_many_orders_as_it_was_asked_for() {
    for orders in [1, 7, 333] {
        let db = Database::new().await;
        let begun = Instant::now();
        let rows = fill(&db, Options { orders, seed: 5, until: until(), add: false }).await.expect("an empty database takes it");
        println!("{orders} orders: {} rows in {:.2} s", rows.values().sum::<u64>(), begun.elapsed().as_secs_f64());
        assert_eq!(rows["orders"], orders);
        assert_eq!(count(db.pool(), "select count(*) from raw_ops.orders").await, orders as i64);
    }
}

#[tokio::test]
async fn no_job_is_made() {
    let db = seeded(1_000).await;
    let waiting = count(db.pool(), "select count(*) from raw_ops.orders where status in ('PAID', 'PARTIALLY_ALLOCATED')").await;
    assert!(waiting > 0, "some orders wait for stock, which would make jobs");
    let pending = count(db.pool(), "select count(*) from raw_ops.allocation_queue where state = 'pending'").await;
    assert_eq!(pending, waiting, "each of them asks for stock once");
    assert_eq!(count(db.pool(), "select count(*) from engine.job").await, 0);
    assert_eq!(count(db.pool(), "select count(*) from engine.ready").await, 0);
    let after: Option<String> = sqlx::query_scalar("select nullif(current_setting('rawops.seeding', true), '')")
        .fetch_one(db.pool())
        .await
        .expect("a setting can be read");
    assert_eq!(after, None, "the session enqueues again");
}

#[tokio::test]
async fn a_database_with_orders_is_refused_and_added_to_on_request() {
    let db = seeded(60).await;
    let more = Options { orders: 40, seed: 1, until: until(), add: false };
    let refused = fill(&db, more).await.expect_err("there are orders");
    assert!(matches!(refused, Error::HasOrders), "{refused}");
    assert_eq!(count(db.pool(), "select count(*) from raw_ops.orders").await, 60);
    for all in [100, 140] {
        fill(&db, Options { add: true, ..more }).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(count(db.pool(), "select count(*) from raw_ops.orders").await, all);
    }
    super::seed_books::balance(&db).await;
}

#[tokio::test]
async fn a_failure_half_way_leaves_nothing() {
    let db = Database::new().await;
    sqlx::query("create function no_more() returns trigger language plpgsql as $$ begin raise exception 'no more'; end $$")
        .execute(db.pool())
        .await
        .expect("a function can be made");
    // Near the end of what is written.
    sqlx::query("create trigger no_more before insert on raw_ops.alert_log execute function no_more()")
        .execute(db.pool())
        .await
        .expect("a trigger can be made");
    let failed = fill(&db, Options { orders: 50, seed: 1, until: until(), add: false }).await.expect_err("the last rows are refused");
    assert!(failed.to_string().contains("nothing was written") && failed.to_string().contains("no more"), "{failed}");
    for table in ["orders", "customers", "products", "batches"] {
        let rows: i64 =
            sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from raw_ops.{table}"))).fetch_one(db.pool()).await.expect("a count");
        assert_eq!(rows, 0, "{table}");
    }
}

#[tokio::test]
async fn two_at_once_do_not_write_the_same_company() {
    let db = Database::new().await;
    let options = Options { orders: 150, seed: 1, until: until(), add: false };
    let (one, other) = tokio::join!(fill(&db, options), fill(&db, options));
    let failures: Vec<_> = [&one, &other].into_iter().filter_map(|ended| ended.as_ref().err()).collect();
    assert!(matches!(failures[..], [Error::Busy | Error::HasOrders]), "{failures:?}");
    assert_eq!(count(db.pool(), "select count(*) from raw_ops.orders").await, 150);
}
