//! Rows that ask for work become jobs, by their tables' triggers.

use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::orders::inbox::{count, execute, paid, receive, row};
use crate::support::{Database, shelf::rows};

const INBOX: &str = "insert into raw_ops.webhook_inbox (topic, raw_headers, raw_payload, processing_status) values";

#[tokio::test]
async fn every_table_that_makes_jobs_names_a_kind_and_a_queue_that_workers_know() {
    let db = Database::new().await;
    let triggers: Vec<(String, String)> = sqlx::query_as(
        "select g.tgrelid::regclass::text, encode(g.tgargs, 'escape') from pg_trigger g
         where g.tgfoid = 'raw_ops.enqueue_row'::regproc and not g.tgisinternal order by 1",
    )
    .fetch_all(db.pool())
    .await
    .expect("triggers can be read");
    let mut tables: Vec<&str> = triggers.iter().map(|(table, _)| table.as_str()).collect();
    assert_eq!(
        tables.len(),
        20,
        "one for rows that are inserted and one for rows that are changed; checks of packers and scans do not change"
    );
    tables.dedup();
    // Webhooks have triggers of their own: tests/webhooks/topics.rs.
    assert_eq!(
        tables,
        [
            "raw_ops.address_changes",
            "raw_ops.alert_log",
            "raw_ops.allocation_queue",
            "raw_ops.courier_events",
            "raw_ops.dispatch_import_queue",
            "raw_ops.export_outbox",
            "raw_ops.lifecycle_events",
            "raw_ops.outbox",
            "raw_ops.pack_quality_checks",
            "raw_ops.seal_webhook_inbox",
        ]
    );
    let kinds = jobs::kinds();
    for (table, arguments) in triggers {
        let arguments: Vec<&str> = arguments.split("\\000").collect();
        let [kind, queue, argument, ..] = arguments[..] else { panic!("{table}: {arguments:?}") };
        let args = json!({ argument: uuid::Uuid::nil() }).to_string();
        kinds.fit(kind, &args).unwrap_or_else(|reason| panic!("{table}: {reason}"));
        assert!(kinds.queues().iter().any(|known| known == queue), "{table}: {queue}");
    }
}

#[tokio::test]
async fn a_row_that_anybody_inserts_becomes_one_job() {
    let db = Database::new().await;
    let id = receive(db.pool(), "orders/paid", &paid()).await;
    let job = row(db.pool(), "select kind, queue, args, unique_key from engine.job_state").await;
    assert_eq!(job, json!({ "kind": "orders.process_order", "queue": "orders", "args": { "inbox_id": id }, "unique_key": id }));
    execute(db.pool(), "update raw_ops.webhook_inbox set processing_status = 'pending'").await;
    execute(db.pool(), "update raw_ops.webhook_inbox set processing_status = 'retrying'").await;
    assert_eq!(count(db.pool(), "engine.job").await, 1, "the live one");
}

#[tokio::test]
async fn rows_that_are_inserted_together_become_jobs_in_their_order() {
    let db = Database::new().await;
    execute(
        db.pool(),
        &format!(
            "{INBOX} ('orders/paid', '{{}}', '{{}}', 'pending'), ('products/update', '{{}}', '{{}}', 'pending'),
                 ('orders/paid', '{{}}', '{{}}', 'success'), ('orders/create', '{{}}', '{{}}', 'retrying'), ('orders/paid', '{{}}', '{{}}', 'pending')"
        ),
    )
    .await;
    let jobs = rows(
        db.pool(),
        "select i.topic, i.processing_status, row_number() over (order by j.id) from engine.job_state j
         join raw_ops.webhook_inbox i on i.id::text = j.unique_key order by i.ctid",
    )
    .await;
    assert_eq!(jobs, json!([["orders/paid", "pending", 1], ["orders/create", "retrying", 2], ["orders/paid", "pending", 3]]));
    execute(db.pool(), "insert into raw_ops.webhook_inbox select * from raw_ops.webhook_inbox on conflict do nothing").await;
    assert_eq!(count(db.pool(), "engine.job").await, 3, "nothing was inserted");
}

async fn forget(db: &Database) {
    execute(db.pool(), "delete from engine.ready").await;
    execute(db.pool(), "truncate engine.job, engine.unique_key").await;
}

#[tokio::test]
async fn only_a_row_that_waits_and_is_an_order_becomes_a_job() {
    let db = Database::new().await;
    for (topic, status) in
        [("products/update", "pending"), ("orders/paid", "ignored"), ("orders/paid", "suspected_replay"), ("orders/paid", "success")]
    {
        execute(db.pool(), &format!("{INBOX} ('{topic}', '{{}}', '{{}}', '{status}')")).await;
        assert_eq!(count(db.pool(), "engine.job").await, 0, "{topic} {status}");
    }
    execute(db.pool(), "update raw_ops.webhook_inbox set processing_status = 'pending' where processing_status = 'suspected_replay'").await;
    assert_eq!(count(db.pool(), "engine.job").await, 1, "released by a person");
}

#[tokio::test]
async fn a_request_for_stock_is_one_job_by_whichever_way_it_comes() {
    let db = Database::new().await;
    execute(db.pool(), "insert into raw_ops.orders (status) values ('PENDING')").await;
    execute(db.pool(), "insert into raw_ops.allocation_queue (order_id) select id from raw_ops.orders").await;
    execute(db.pool(), "select raw_ops.request_allocation(id, 'PAID') from raw_ops.orders").await;
    execute(db.pool(), "update raw_ops.allocation_queue set state = 'pending', last_error = 'x'").await;
    let job = rows(
        db.pool(),
        "select j.kind, j.unique_key = o.id::text, j.args = jsonb_build_object('order_id', o.id)
                               from engine.job_state j cross join raw_ops.orders o",
    )
    .await;
    assert_eq!(job, json!([["allocation.allocate_order", true, true]]));
    forget(&db).await;
    execute(db.pool(), "update raw_ops.allocation_queue set state = 'failed'").await;
    assert_eq!(count(db.pool(), "engine.job").await, 0);
    execute(db.pool(), "update raw_ops.allocation_queue set state = 'pending'").await;
    assert_eq!(count(db.pool(), "engine.job").await, 1, "put back by a person");
}

#[tokio::test]
async fn a_session_that_seeds_makes_rows_and_no_jobs() {
    let db = Database::new().await;
    let mut tx = db.pool().begin().await.expect("a transaction begins");
    for (seeding, jobs) in [("on", 0), ("true", 0), ("off", 2), ("", 4)] {
        let statements = format!("{INBOX} ('orders/paid', '{{}}', '{{}}', 'pending'); insert into raw_ops.orders (status) values ('PAID')");
        sqlx::raw_sql(AssertSqlSafe(format!("set local rawops.seeding = '{seeding}'; {statements}")))
            .execute(&mut *tx)
            .await
            .expect("rows");
        let made: i64 = sqlx::query_scalar("select count(*) from engine.job").fetch_one(&mut *tx).await.expect("a count");
        assert_eq!(made, jobs, "seeding '{seeding}'");
    }
    tx.rollback().await.expect("a transaction ends");
}

#[tokio::test]
async fn who_may_insert_the_row_needs_no_right_on_the_engine() {
    let db = Database::new().await;
    let role = format!("clerk_{}", db.name());
    let mut tx = db.pool().begin().await.expect("a transaction begins");
    let statements = format!(
        "create role {role}; grant usage on schema raw_ops to {role}; grant insert on raw_ops.webhook_inbox, raw_ops.orders to {role};
         set local role {role}; {INBOX} ('orders/paid', '{{}}', '{{}}', 'pending'); insert into raw_ops.orders (status) values ('PAID');
         reset role"
    );
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut *tx).await.expect("the clerk may");
    let made: i64 = sqlx::query_scalar("select count(*) from engine.job").fetch_one(&mut *tx).await.expect("a count");
    assert_eq!(made, 2);
    let enqueue = format!(
        "set local role {role}; create temporary table own (id text);
         create trigger own after insert on own for each row execute function raw_ops.enqueue_row('any.kind', 'default', 'id', 'id')"
    );
    let refused = sqlx::raw_sql(AssertSqlSafe(enqueue)).execute(&mut *tx).await.expect_err("not on a table of their own");
    assert!(refused.to_string().contains("permission denied for function raw_ops.enqueue_row"), "{refused}");
    tx.rollback().await.expect("a transaction ends");
}

#[tokio::test]
async fn a_row_that_names_its_time_is_a_job_of_that_time() {
    let db = Database::new().await;
    execute(db.pool(), "create table mail (id bigint primary key, due timestamptz)").await;
    execute(
        db.pool(),
        "create trigger mail after insert on mail for each row execute function raw_ops.enqueue_row('test.mail', 'mail', 'mail_id', 'id', 'due')",
    )
    .await;
    execute(db.pool(), "insert into mail values (9007199254740993, now() + interval '1 d'), (2, now() - interval '1 d'), (3, null)").await;
    let jobs = rows(
        db.pool(),
        "select args ->> 'mail_id', state, run_at = (select due from mail where id = 9007199254740993)
                                from engine.job_state order by id",
    )
    .await;
    assert_eq!(jobs, json!([["9007199254740993", "scheduled", true], ["2", "ready", null], ["3", "ready", null]]));
}

#[tokio::test]
async fn every_function_that_runs_as_its_owner_has_its_own_search_path_and_is_not_everybodys() {
    let db = Database::new().await;
    let open = rows(
        db.pool(),
        "select p.oid::regprocedure::text from pg_proc p
         where p.pronamespace in ('raw_ops'::regnamespace, 'engine'::regnamespace) and p.prosecdef
           and (coalesce(array_to_string(p.proconfig, ','), '') not like '%search_path=%'
                or p.proacl is null or exists (select from aclexplode(p.proacl) a where a.grantee = 0))",
    )
    .await;
    assert_eq!(open, json!([]));
    assert!(count(db.pool(), "pg_proc where pronamespace = 'raw_ops'::regnamespace and prosecdef").await >= 10);
}
