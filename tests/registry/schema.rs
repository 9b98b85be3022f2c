//! The migrated database holds the whole registry, and the check that says so can fail.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{compare::differences, exceptions, inventory};
use crate::support::Database;

async fn differences_after(connection: &mut PgConnection, change: &str) -> Vec<String> {
    let mut tx = connection.begin().await.expect("a transaction can begin");
    sqlx::raw_sql(AssertSqlSafe(change.to_owned())).execute(&mut *tx).await.unwrap_or_else(|error| panic!("{change}: {error}"));
    let found = differences(&mut tx, &inventory::read(), &exceptions::read()).await;
    tx.rollback().await.expect("a transaction can end");
    found
}

#[tokio::test]
async fn the_database_holds_the_whole_registry() {
    let db = Database::new().await;
    let registry = inventory::read();
    assert_eq!(registry.tables.len(), 94);
    let mut connection = db.pool().acquire().await.expect("a connection");
    let found = differences_after(&mut connection, "").await;
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

/// A change that somebody could make by mistake, and what the check must say of it.
const MISTAKES: [(&str, &str); 20] = [
    ("drop table raw_ops.ad_accounts", "table ad_accounts: expected table, found nothing"),
    ("alter table raw_ops.orders drop column utm cascade", "column orders.utm: expected jsonb, found nothing"),
    ("alter table raw_ops.orders alter tags type varchar[]", "column orders.tags: expected text[], found character varying[]"),
    ("alter table raw_ops.pack_quality_checks alter packed_by type varchar(101)", "expected character varying(100) not null"),
    ("alter table raw_ops.orders alter status set default 'PAID'", "found order_status not null default 'PAID'::order_status"),
    (
        "alter table raw_ops.portal_sessions alter expires_at set default now() + interval '8 days'",
        "found timestamp with time zone not null",
    ),
    ("alter table raw_ops.customers alter marketing_opt_in drop default", "expected boolean default false, found boolean"),
    ("alter table raw_ops.order_items alter qty drop not null", "column order_items.qty: expected integer not null, found integer"),
    (
        "alter table raw_ops.ad_accounts alter id drop identity",
        "column ad_accounts.id: expected bigint not null identity, found bigint not null",
    ),
    ("alter table raw_ops.ad_accounts drop constraint ad_accounts_pkey", "primary key ad_accounts: expected (id), found nothing"),
    (
        "alter table raw_ops.orders drop constraint orders_referral_id_fkey",
        "foreign key orders.referral_id: expected references referrals (id), found nothing",
    ),
    (
        "alter table raw_ops.orders drop constraint orders_referral_id_fkey;
         alter table raw_ops.orders add constraint later foreign key (referral_id) references raw_ops.referrals not valid",
        "found references referrals (id) unproven",
    ),
    (
        "drop index raw_ops.idx_orders_customer_recent",
        "index orders.idx_orders_customer_recent: expected (customer_id, ordered_at), found nothing",
    ),
    (
        "drop index raw_ops.idx_orders_paid_unallocated; create index idx_orders_paid_unallocated on raw_ops.orders (created_at)
         where status = 'PENDING'",
        "where (status = 'PENDING'::order_status)",
    ),
    ("drop index raw_ops.idx_refunds_order", "index refunds.idx_refunds_order_id: expected (order_id), found nothing"),
    (
        "alter table raw_ops.proof_jobs drop constraint proof_jobs_job_key_key;
         create index ux_proof_jobs_jobkey on raw_ops.proof_jobs (job_key)",
        "index proof_jobs.ux_proof_jobs_jobkey: expected unique (job_key), found (job_key)",
    ),
    (
        "alter type raw_ops.lab_outcome rename value 'REVIEW' to 'LATER'",
        "enum lab_outcome: expected PASS, FAIL, REVIEW, found PASS, FAIL, LATER",
    ),
    (
        "drop index raw_ops.idx_shipments_tracking_no_unique;
         create unique index idx_shipments_tracking_no_unique on raw_ops.shipments (tracking_no) where tracking_no is not null",
        "exception shipments.idx_shipments_tracking_no_unique: nothing differs there, take it out",
    ),
    ("drop view raw_ops.v_pack_queue", "view v_pack_queue: expected view, found nothing"),
    (
        "drop view raw_ops.v_pack_queue; create materialized view raw_ops.v_pack_queue as select 1",
        "view v_pack_queue: expected view, found nothing",
    ),
];

#[tokio::test]
async fn each_mistake_is_found() {
    let db = Database::new().await;
    let mut connection = db.pool().acquire().await.expect("a connection");
    for (change, wanted) in MISTAKES {
        let found = differences_after(&mut connection, change).await;
        assert!(found.iter().any(|line| line.contains(wanted)), "{change}\nnot found: {wanted}\nbut: {found:#?}");
    }
}
