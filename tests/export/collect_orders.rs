//! Which orders go into a batch, and what becomes of those that may not.

use jobs::export::CollectOrders;
use serde_json::json;
use tokio::task::JoinSet;

use super::{all, batch, ready, run, stands, waiting};
use crate::orders::inbox::{count, execute, row};
use crate::support::{
    Database, Outside, run_all,
    shelf::{Batch, order, product, rows},
};

#[tokio::test]
async fn orders_with_their_stock_are_one_file_and_the_packer_reads_it() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    waiting(db.pool(), 2).await;
    let lamb = product(db.pool(), "LAMB").await;
    Batch::of(1, 20).put(db.pool(), "l1", lamb).await;
    Batch::of(5, 40).put(db.pool(), "l2", lamb).await;
    ready(db.pool(), lamb, "#3", 3).await;
    // Stock for none of it, and not paid.
    order(db.pool(), &[(lamb, 9)]).await;
    execute(db.pool(), "insert into raw_ops.orders (order_number_label) values ('#5')").await;
    let day = row(db.pool(), "select to_char(raw_ops.today(), 'YYYYMMDD') as day").await["day"].as_str().expect("a day").to_owned();

    let said = run(&db, &outside, CollectOrders {}).await;
    assert_eq!(said, json!({ "orders": 3, "batches": [format!("EXP-{day}")], "held": 0 }));
    let files = outside.packer.files();
    let [(name, file)] = &files.iter().collect::<Vec<_>>()[..] else { panic!("one file: {files:?}") };
    assert_eq!(**name, format!("EXP-{day}_v1.csv"));
    let text = String::from_utf8_lossy(&file.bytes).into_owned();
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(lines[1], "PR#1,Ann Łuczak,00447700900123,\"Flat 2, 1 High St\",,Southsea,PO1 2AB,GB,BEEF,b1,2,small,Wool,3,no,2026-03-31");
    assert!(lines[3].contains(",LAMB,l1,1,") && lines[4].contains(",LAMB,l2,2,") && lines.len() == 6, "first expired first out: {text}");
    let kept = "select status, attempts, file_name, file_sha256, manifest_version, cardinality(order_ids) as orders,
        sent_at is not null and confirmed_at is not null as dated from raw_ops.export_outbox";
    let expected = json!({ "status": "confirmed", "attempts": 1, "file_name": name, "file_sha256": file.sha256, "manifest_version": "v1",
        "orders": 3, "dated": true });
    assert_eq!(row(db.pool(), kept).await, expected);
    let told = "select count(*) from raw_ops.orders where status = 'EXPORTED' and export_state = 'acked' and exported_at is not null
        and acked_at is not null and external_order_ref = 'PR' || order_number_label";
    assert_eq!(rows(db.pool(), told).await, json!([[3]]));
    // Nothing is left for a second one.
    assert_eq!(run(&db, &outside, CollectOrders {}).await, json!({ "orders": 0, "batches": [], "held": 0 }));
    assert_eq!((outside.packer.files().len(), count(db.pool(), "raw_ops.export_outbox").await), (1, 1));
}

#[tokio::test]
async fn an_order_that_may_not_be_written_waits_for_a_person_and_goes_with_the_next_file() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let orders = waiting(db.pool(), 3).await;
    execute(db.pool(), &format!("update raw_ops.orders set ship_name = '=HYPERLINK(1)' where id = '{}'", orders[1])).await;
    for times in 1..=2 {
        let said = run(&db, &outside, CollectOrders {}).await;
        assert_eq!(said["held"], 1);
        assert_eq!(outside.packer.orders(), ["PR#1", "PR#3"]);
        assert_eq!(stands(&db).await[1], json!(["#2", "ALLOCATED", "review"]));
        let why = rows(db.pool(), "select order_id, issue_type, issue_description from raw_ops.exceptions_queue where not resolved").await;
        let words = "It cannot be handed to the packer: ship_name begins like a formula, which a spreadsheet would run";
        assert_eq!(why, json!([[orders[1], "export_review", words]]), "looked at {times} times");
    }
    assert_eq!(rows(db.pool(), "select severity, repeats from raw_ops.alert_log").await, json!([["warning", 1]]));
    execute(db.pool(), "update raw_ops.orders set ship_name = 'Bob' where ship_name like '=%'").await;
    assert_eq!(run(&db, &outside, CollectOrders {}).await["orders"], 1);
    assert_eq!(stands(&db).await, all(3, "EXPORTED", Some("acked")));
    assert_eq!(outside.packer.orders(), ["PR#2", "PR#1", "PR#3"], "the second file of the day comes before the first by name");
    assert_eq!(count(db.pool(), "raw_ops.exceptions_queue where not resolved").await, 0);
    assert_eq!(count(db.pool(), "raw_ops.export_outbox where batch_id ~ '^EXP-[0-9]{8}-2$'").await, 1);
}

#[tokio::test]
async fn however_many_orders_may_not_be_written_those_that_may_go_out() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    execute(db.pool(), "update raw_ops.config set value_numeric = 0 where key = 'export.needs_packing_instructions'").await;
    let orders = waiting(db.pool(), 2).await;
    execute(
        db.pool(),
        "insert into raw_ops.orders (status, ordered_at) select 'ALLOCATED', now() - interval '9 days' from generate_series(1, 1000)",
    )
    .await;
    // A person has mended it, and it comes last of all that were looked at before.
    execute(db.pool(), &format!("update raw_ops.orders set export_state = 'review' where id = '{}'", orders[1])).await;
    let said = run(&db, &outside, CollectOrders {}).await;
    assert_eq!((&said["orders"], &said["held"], outside.packer.orders().len()), (&json!(2), &json!(1000), 2));
    execute(db.pool(), &format!("update raw_ops.orders set status = 'ALLOCATED', export_state = 'review' where id = '{}'", orders[1]))
        .await;
    let said = run(&db, &outside, CollectOrders {}).await;
    assert_eq!((&said["orders"], &said["held"]), (&json!(1), &json!(1000)), "past those that were held before");
}

#[tokio::test]
async fn two_orders_of_one_label_have_two_names_at_the_packer() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    waiting(db.pool(), 3).await;
    execute(db.pool(), "update raw_ops.orders set order_number_label = '#1' where order_number_label <> '#3'").await;
    run(&db, &outside, CollectOrders {}).await;
    let mut names = outside.packer.orders();
    names.sort();
    assert_eq!((names.len(), names[0].as_str()), (3, "PR#3"));
    assert!(names[1].starts_with("PR-") && names[2].starts_with("PR-") && names[1] != names[2], "{names:?}");
    let beef = sqlx::query_scalar("select id from raw_ops.products").fetch_one(db.pool()).await.expect("a product");
    ready(db.pool(), beef, "#3", 1).await;
    assert_eq!(run(&db, &outside, CollectOrders {}).await["orders"], 1, "a label that is used again");
    assert_eq!(count(db.pool(), "raw_ops.orders where external_order_ref = 'PR#3'").await, 1);
}

#[tokio::test]
async fn of_many_that_collect_at_once_each_order_is_in_one_batch() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    waiting(db.pool(), 12).await;
    let mut at_once = JoinSet::new();
    for _ in 0..8 {
        let pool = db.pool().clone();
        at_once.spawn(async move {
            let job = engine::NewJob::of(&CollectOrders {}).expect("it serialises");
            engine::Client::new(pool).enqueue(&job).await.expect("enqueued")
        });
    }
    while let Some(enqueued) = at_once.join_next().await {
        enqueued.expect("no panic");
    }
    run_all(&db, outside.kinds()).await;
    assert_eq!(batch(&db).await, ("confirmed".into(), 1));
    assert_eq!(stands(&db).await, all(12, "EXPORTED", Some("acked")));
    assert_eq!(outside.packer.orders().len(), 12);
}

#[tokio::test]
async fn an_order_waits_for_the_packing_instruction_of_the_day() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let orders = waiting(db.pool(), 4).await;
    for (order, change) in [(orders[0], "pack_on = raw_ops.today() - 1"), (orders[1], "pack_on = raw_ops.today() + 1")] {
        execute(db.pool(), &format!("update raw_ops.packing_instructions set {change} where order_id = '{order}'")).await;
    }
    execute(db.pool(), &format!("delete from raw_ops.packing_instructions where order_id = '{}'", orders[2])).await;
    assert_eq!(run(&db, &outside, CollectOrders {}).await["orders"], 1);
    assert_eq!(outside.packer.orders(), ["PR#4"]);
    // What a person has written holds on any day.
    execute(db.pool(), &format!("update raw_ops.packing_instructions set calculated_by = 'ada' where order_id = '{}'", orders[0])).await;
    assert_eq!(run(&db, &outside, CollectOrders {}).await["orders"], 1);
    execute(db.pool(), "update raw_ops.config set value_numeric = 0 where key = 'export.needs_packing_instructions'").await;
    assert_eq!(run(&db, &outside, CollectOrders {}).await["orders"], 2);
    assert_eq!(stands(&db).await, all(4, "EXPORTED", Some("acked")));
}

#[tokio::test]
async fn an_instruction_for_another_address_or_other_food_is_not_exported() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let orders = waiting(db.pool(), 5).await;
    for (order, change) in [
        (orders[0], "orders set ship_postcode = 'IV1 1AA' where id"),
        (orders[1], "orders set ship_country = 'JE' where id"),
        (orders[2], "packing_instructions set food_grams = 1500 where order_id"),
        (orders[3], "packing_instructions set postcode = null, calculated_by = 'ada' where order_id"),
    ] {
        execute(db.pool(), &format!("update raw_ops.{change} = '{order}'")).await;
    }
    assert_eq!(run(&db, &outside, CollectOrders {}).await["orders"], 2);
    assert_eq!(outside.packer.orders(), ["PR#4", "PR#5"], "what a person has written holds");
    execute(db.pool(), "update raw_ops.config set value_numeric = 0 where key = 'export.needs_packing_instructions'").await;
    assert_eq!(run(&db, &outside, CollectOrders {}).await["orders"], 3);
    let boxes = "select distinct r.value ->> 11 from raw_ops.export_outbox e, jsonb_array_elements(e.csv_data -> 'rows') r
        where cardinality(e.order_ids) = 3";
    assert_eq!(rows(db.pool(), boxes).await, json!([[""]]), "where none is needed, a wrong one is not used");
}

#[tokio::test]
async fn food_that_was_recalled_or_expires_on_its_way_is_not_handed_to_the_packer() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let beef = product(db.pool(), "BEEF").await;
    let mut batches = Vec::new();
    for (n, lasts) in [30, 31, 32, 33].into_iter().enumerate() {
        batches.push(Batch::of(2, lasts).put(db.pool(), &format!("b{n}"), beef).await);
        ready(db.pool(), beef, &format!("#{n}"), 2).await;
    }
    // Of two batches: one that is bad keeps the order out whole.
    let lamb = product(db.pool(), "LAMB").await;
    for (code, units) in [("l1", 1), ("l2", 1)] {
        batches.push(Batch::of(units, 40).put(db.pool(), code, lamb).await);
    }
    ready(db.pool(), lamb, "#4", 2).await;
    execute(db.pool(), "update raw_ops.packing_instructions set deliver_on = raw_ops.today() + 1").await;
    for (batch, change) in [
        (batches[0], "status = 'RECALLED'"),
        (batches[1], "expiry_date = raw_ops.today()"),
        (batches[2], "expiry_date = raw_ops.today() + 1"),
        (batches[4], "status = 'REJECTED'"),
    ] {
        execute(db.pool(), &format!("update raw_ops.batches set {change} where id = '{batch}'")).await;
    }
    let said = run(&db, &outside, CollectOrders {}).await;
    assert_eq!((&said["orders"], &said["held"]), (&json!(2), &json!(3)));
    assert_eq!(outside.packer.orders(), ["PR#2", "PR#3"], "the last day is a good one");
    let why = rows(db.pool(), "select distinct issue_description from raw_ops.exceptions_queue order by 1").await;
    let words = |sku| {
        format!(
            "It cannot be handed to the packer: sku {sku} is set aside from a batch that is not released or expires before the parcel arrives"
        )
    };
    assert_eq!(why, json!([[words("BEEF")], [words("LAMB")]]));
}

#[tokio::test]
async fn an_order_that_is_ended_when_the_packer_has_it_is_told_and_not_taken_back() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    waiting(db.pool(), 1).await;
    run(&db, &outside, CollectOrders {}).await;
    let next = "select raw_ops.next_order_status(status, 'CANCELLED') as status from raw_ops.orders";
    assert_eq!(row(db.pool(), next).await["status"], "EXPORTED");
}
