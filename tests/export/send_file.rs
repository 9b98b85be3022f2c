//! What a batch says after each thing that can happen to its file.

use jobs::export::CollectOrders;
use sandbox::{Fault, packer};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{all, batch, ready, run, stands, waiting};
use crate::orders::inbox::{count, execute, row};
use crate::support::{
    Database, Outside, ledger,
    outside::{self, DROP_TOKEN},
    run_all,
    shelf::{Batch, product, rows},
};

async fn retry_at_once(db: &Database) {
    execute(db.pool(), "update raw_ops.retry_config set backoff_seconds = '{0}'").await;
}

async fn resolve(db: &Database, decision: &str) -> Result<String, String> {
    let export: Uuid = sqlx::query_scalar("select id from raw_ops.export_outbox").fetch_one(db.pool()).await.expect("one batch");
    sqlx::query_scalar("select raw_ops.resolve_export($1, $2, 'ada')")
        .bind(export)
        .bind(decision)
        .fetch_one(db.pool())
        .await
        .map_err(|error| error.to_string())
}

/// Whatever becomes of a request, the packer has the file once, and every order in it.
#[tokio::test]
async fn the_packer_has_the_file_once_whatever_becomes_of_a_request() {
    let all_at_once = [Fault::LostReply, Fault::Status(500), Fault::Garbage, Fault::Status(503), Fault::Reset, Fault::RateLimited(0)];
    let cases: [(&[Fault], u32); 6] = [
        (&[Fault::LostReply], 2),
        (&[Fault::LateReply, Fault::Hang], 2),
        (&[Fault::Status(502), Fault::Status(503), Fault::RateLimited(0)], 1),
        (&[Fault::Reset], 1),
        // The second is the receipt's: it cannot be read, and is asked for again.
        (&[Fault::Garbage, Fault::Garbage], 1),
        (&all_at_once, 2),
    ];
    let (db, outside) = (Database::new().await, Outside::start().await);
    retry_at_once(&db).await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::of(99, 30).put(db.pool(), "b1", beef).await;
    let mut orders = Vec::new();
    for (n, (faults, puts)) in cases.into_iter().enumerate() {
        ready(db.pool(), beef, &format!("#{n}"), 2).await;
        orders.push(format!("PR#{n}"));
        // So many failures would open its breaker; that is tests/outbox/outage.rs.
        execute(db.pool(), "update engine.breaker set at_least = 1000").await;
        outside.packer.ask(faults.iter().copied());
        let said = run(&db, &outside, CollectOrders {}).await;
        let name = format!("{}_v1.csv", said["batches"][0].as_str().expect("one batch"));
        assert_eq!(outside.packer.files()[&name].puts, puts, "{faults:?}");
        let mut packed = outside.packer.orders();
        packed.sort();
        assert_eq!(packed, orders, "{faults:?}");
        let ended = count(db.pool(), "raw_ops.export_outbox where status = 'confirmed'").await as usize;
        let acked = count(db.pool(), "raw_ops.orders where status = 'EXPORTED' and export_state = 'acked'").await as usize;
        assert_eq!((ended, acked), (n + 1, n + 1), "{faults:?}");
    }
    ledger::check(db.pool()).await;
}

#[tokio::test]
async fn a_receipt_is_waited_for_and_the_file_is_not_put_again() {
    let stop = CancellationToken::new();
    let slow = packer::Options { reads_after: 3, per_second: 1_000.0, ..packer::Options::new(DROP_TOKEN) };
    let slow = packer::Packer::start(slow, stop.clone()).await.expect("a sandbox");
    let (db, mut outside) = (Database::new().await, Outside::start().await);
    retry_at_once(&db).await;
    waiting(db.pool(), 1).await;
    outside.packer = slow;
    run(&db, &outside, CollectOrders {}).await;
    let file = outside.packer.files().into_values().next().expect("a file");
    assert_eq!((file.puts, file.asked), (1, 4));
    assert_eq!(batch(&db).await, ("confirmed".into(), 4));
    stop.cancel();
}

#[tokio::test]
async fn what_the_packer_refuses_fails_with_his_words_and_a_person_decides() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    retry_at_once(&db).await;
    waiting(db.pool(), 2).await;
    outside.packer.refuse(Some("no such SKU"));
    run(&db, &outside, CollectOrders {}).await;
    assert_eq!(batch(&db).await.0, "failed");
    let words = row(db.pool(), "select error_message from raw_ops.export_outbox").await["error_message"].take();
    assert!(words.as_str().is_some_and(|words| words.ends_with("_v1.csv: no such SKU")), "{words}");
    assert_eq!(stands(&db).await, all(2, "EXPORTED", Some("exported")));

    // Sent again, the drop takes it for what it has, and he refuses it again.
    assert_eq!(resolve(&db, "pending").await, Ok("failed".into()));
    run_all(&db, outside.kinds()).await;
    let puts: Vec<u32> = outside.packer.files().values().map(|file| file.puts).collect();
    assert_eq!((puts, batch(&db).await), (vec![2], ("failed".into(), 2)));

    assert!(resolve(&db, "gone").await.is_err_and(|error| error.contains("does not become gone")));
    // One of them was ended when it was thought to be there.
    execute(
        db.pool(),
        "select raw_ops.log_order_once(id, 'order_ended_late', 'cancelled') from raw_ops.orders where order_number_label = '#1'",
    )
    .await;
    assert_eq!(resolve(&db, "cancelled").await, Ok("failed".into()));
    assert_eq!(stands(&db).await, json!([["#1", "ALLOCATED", "ended"], ["#2", "ALLOCATED", null]]));
    assert_eq!(rows(db.pool(), "select issue_type from raw_ops.exceptions_queue").await, json!([["export_ended"]]));
    assert!(resolve(&db, "pending").await.is_err_and(|error| error.contains("is cancelled, which does not become pending")));
    outside.packer.refuse(None);
    assert_eq!(run(&db, &outside, CollectOrders {}).await["orders"], 1);
    assert_eq!(stands(&db).await, json!([["#1", "ALLOCATED", "ended"], ["#2", "EXPORTED", "acked"]]));
}

#[tokio::test]
async fn a_drop_that_lets_nobody_in_fails_the_batch_and_a_person_has_it_sent_again() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    execute(db.pool(), "update raw_ops.retry_config set backoff_seconds = '{0}', max_attempts = 2").await;
    waiting(db.pool(), 1).await;
    let mut settings = outside.settings();
    settings.packer.token = Some(jobs::clients::Secret::new("hidden"));
    let collect = engine::NewJob::of(&CollectOrders {}).expect("it serialises");
    engine::Client::new(db.pool().clone()).enqueue(&collect).await.expect("enqueued");
    run_all(&db, outside::with(&settings)).await;
    assert_eq!(batch(&db).await, ("failed".into(), 2));
    let words = row(db.pool(), "select error_message, sent_at from raw_ops.export_outbox").await;
    assert_eq!(
        words,
        json!({ "error_message": "the packer's drop: answered 401: {\"error\":\"the token is not known\"}", "sent_at": null })
    );
    assert_eq!((stands(&db).await, outside.packer.files().len()), (all(1, "EXPORTED", Some("queued")), 0));
    assert_eq!(resolve(&db, "pending").await, Ok("failed".into()));
    assert!(resolve(&db, "cancelled").await.is_err_and(|error| error.contains("has a job")));
    run_all(&db, outside.kinds()).await;
    assert_eq!((batch(&db).await, outside.packer.orders().len()), (("confirmed".into(), 3), 1));
    // Without any settings nothing is called either.
    settings.packer = jobs::clients::packer::Settings::default();
    execute(db.pool(), "update raw_ops.export_outbox set status = 'failed'").await;
    assert_eq!(resolve(&db, "pending").await, Ok("failed".into()));
    execute(db.pool(), "update raw_ops.orders set status = 'ALLOCATED', export_state = null").await;
    engine::Client::new(db.pool().clone()).enqueue(&collect).await.expect("enqueued");
    run_all(&db, outside::with(&settings)).await;
    assert_eq!(stands(&db).await, all(1, "ALLOCATED", None), "nothing is collected");
    assert_eq!(count(db.pool(), "raw_ops.export_outbox where error_message like '%PACKER_DROP_URL%are not set%'").await, 1);
}

#[tokio::test]
async fn another_file_of_the_name_is_not_overwritten_and_other_lines_are_not_sent() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    retry_at_once(&db).await;
    waiting(db.pool(), 1).await;
    run(&db, &outside, CollectOrders {}).await;
    for (change, words) in [
        ("csv_data = jsonb_set(csv_data, '{rows,0,10}', '\"9\"')", "the file would have the hash"),
        ("csv_data = jsonb_set(csv_data, '{rows,0,10}', '\"9\"'), file_sha256 = null", "was not made by this program"),
        ("manifest_version = 'v9'", "does not write version v9"),
    ] {
        execute(db.pool(), "create table kept as select * from raw_ops.export_outbox").await;
        execute(db.pool(), &format!("update raw_ops.export_outbox set status = 'failed', {change}")).await;
        assert_eq!(resolve(&db, "pending").await, Ok("failed".into()));
        run_all(&db, outside.kinds()).await;
        let said = row(db.pool(), "select status, error_message from raw_ops.export_outbox").await;
        assert!(said["status"] == "failed" && said["error_message"].as_str().is_some_and(|said| said.contains(words)), "{said}");
        execute(db.pool(), "update raw_ops.export_outbox e set csv_data = k.csv_data, file_sha256 = k.file_sha256, manifest_version = k.manifest_version from kept k").await;
        execute(db.pool(), "drop table kept").await;
    }
    // The same name with other bytes and their hash: the drop has another already.
    let file = outside.packer.files().into_values().next().expect("a file");
    let other = String::from_utf8_lossy(&file.bytes).replace(",2,small", ",9,small");
    let sha256 = row(db.pool(), &format!("select encode(sha256(convert_to('{other}', 'utf8')), 'hex') as sum")).await["sum"].take();
    execute(
        db.pool(),
        &format!(
            "update raw_ops.export_outbox set status = 'failed', file_sha256 = '{}', csv_data = jsonb_set(csv_data, '{{rows,0,10}}', '\"9\"')",
            sha256.as_str().expect("a hash")
        ),
    )
    .await;
    assert_eq!(resolve(&db, "pending").await, Ok("failed".into()));
    run_all(&db, outside.kinds()).await;
    let said = row(db.pool(), "select status, error_message from raw_ops.export_outbox").await;
    assert_eq!(
        said,
        json!({ "status": "failed", "error_message": "the packer's drop: answered 409: {\"error\":\"another file of this name is here\"}" })
    );
    assert_eq!(count(db.pool(), "engine.dead_letter_queue where category = 'business_rule'").await, 1);
}
