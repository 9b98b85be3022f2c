//! The release of a batch from QA hold.

use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::orders::inbox::{count, execute, row};
use crate::support::{
    Database,
    shelf::{Batch, message, pass, product, release, rows},
};

/// A batch in QA hold with nothing against it.
async fn held(db: &Database) -> (Uuid, Uuid) {
    let beef = product(db.pool(), "BEEF").await;
    let batch = Batch::default().status("QA_HOLD").put(db.pool(), "b1", beef).await;
    (batch, pass(db.pool(), batch).await)
}

#[tokio::test]
async fn a_batch_that_passed_is_released_with_its_audit() {
    let db = Database::new().await;
    let (batch, result) = held(&db).await;
    assert_eq!(release(db.pool(), batch).await, Ok("released".into()));
    assert_eq!(count(db.pool(), "raw_ops.batches where status = 'RELEASED' and released_at is not null").await, 1);
    let history =
        row(db.pool(), "select batch_id, old_status, new_status, triggered_by, lab_result_id from raw_ops.batch_status_history").await;
    assert_eq!(
        history,
        json!({ "batch_id": batch, "old_status": "QA_HOLD", "new_status": "RELEASED", "triggered_by": "ann", "lab_result_id": result })
    );
    let told = row(db.pool(), "select entity_type, entity_id, kind, message, source_id from raw_ops.ops_events").await;
    assert_eq!(
        told,
        json!({ "entity_type": "BATCH", "entity_id": batch, "kind": "batch_released", "message": "ann released batch b1", "source_id": result })
    );
    assert_eq!(rows(db.pool(), "select sku, qty_available from raw_ops.inventory_on_hand").await, json!([["BEEF", 10]]));
}

#[tokio::test]
async fn a_release_that_comes_twice_happens_once() {
    let db = Database::new().await;
    let (batch, _) = held(&db).await;
    let mut at_once = JoinSet::new();
    for _ in 0..8 {
        let pool = db.pool().clone();
        at_once.spawn(async move { release(&pool, batch).await });
    }
    let mut outcomes = at_once.join_all().await;
    outcomes.sort();
    let mut expected = vec![Ok("already_released".to_owned()); 7];
    expected.push(Ok("released".into()));
    assert_eq!(outcomes, expected);
    assert_eq!(count(db.pool(), "raw_ops.batch_status_history").await, 1);
    assert_eq!(count(db.pool(), "raw_ops.ops_events").await, 1);
}

/// What is changed about a batch that would go, and why it stays.
const REFUSALS: [(&str, &str); 21] = [
    ("delete from raw_ops.lab_results", "it has no lab result"),
    ("update raw_ops.lab_results set outcome = 'REVIEW'", "its lab result is REVIEW and not PASS"),
    ("update raw_ops.lab_results set outcome = 'FAIL'", "its lab result is FAIL and not PASS"),
    ("update raw_ops.lab_results set salmonella_absent = false", "its lab result does not state that Salmonella is absent in 25 g"),
    ("update raw_ops.lab_results set salmonella_absent = null", "its lab result does not state that Salmonella is absent in 25 g"),
    ("update raw_ops.lab_results set listeria_absent = null", "its lab result does not state that Listeria was not detected in 25 g"),
    ("update raw_ops.lab_results set listeria_absent = false", "its lab result does not state that Listeria was not detected in 25 g"),
    ("update raw_ops.lab_results set enterobacteriaceae_cfu_per_g = null", "its lab result has no count of Enterobacteriaceae"),
    ("update raw_ops.lab_results set enterobacteriaceae_operator = '>'", "its lab result has no count of Enterobacteriaceae"),
    ("update raw_ops.lab_results set enterobacteriaceae_cfu_per_g = 5000", "its lab result has 5000 CFU/g of Enterobacteriaceae or more"),
    ("update raw_ops.lab_results set reported_at = now() + interval '1 h'", "its lab result is dated in the future"),
    ("update raw_ops.lab_results set reported_at = now() - interval '40 d'", "its lab result is older than the batch"),
    (
        "insert into raw_ops.batches (batch_code, produced_at) values ('b2', '2026-01-01');
         insert into raw_ops.lab_results (batch_id, lab_name, report_pdf_url, outcome, pdf_hash)
         select b.id, 'Lab', 'lab/1.pdf', 'REVIEW', r.pdf_hash from raw_ops.batches b, raw_ops.lab_results r where b.batch_code = 'b2'",
        "the document of its lab result was used for another batch",
    ),
    ("update raw_ops.batches set product_id = null", "it names no product"),
    ("update raw_ops.batches set expiry_date = null", "it has no expiry date"),
    ("update raw_ops.batches set expiry_date = raw_ops.today() - 1", "it expired on "),
    ("update raw_ops.batches set status = 'REJECTED'", "it is REJECTED and not in QA hold"),
    ("sample 2: salmonella_absent = null", "absence of Salmonella is not stated for every sample"),
    ("sample 5: enterobacteriaceae_cfu_per_g = 5000", "a sample has 5000 CFU/g of Enterobacteriaceae or more"),
    ("sample 4: enterobacteriaceae_operator = '>'", "Enterobacteriaceae are not counted in every sample"),
    ("sample 3: enterobacteriaceae_cfu_per_g = 11", "more than two samples have over 10 CFU/g of Enterobacteriaceae"),
];

/// Five samples, two of them over 10 CFU/g: as many as may be.
async fn sample(db: &Database) {
    execute(
        db.pool(),
        "insert into raw_ops.lab_result_samples (lab_result_id, sample_no, salmonella_absent, listeria_absent, enterobacteriaceae_cfu_per_g)
         select r.id, n, true, true, case when n <= 2 then 4999 else 10 end from raw_ops.lab_results r, generate_series(1, 5) n",
    )
    .await;
}

#[tokio::test]
async fn a_batch_that_may_not_go_stays_and_the_error_says_why() {
    let db = Database::new().await;
    let (batch, _) = held(&db).await;
    for (change, reason) in REFUSALS {
        let mut tx = db.pool().begin().await.expect("a transaction begins");
        let change = match change.strip_prefix("sample ").and_then(|sample| sample.split_once(": ")) {
            Some((number, set)) => format!(
                "insert into raw_ops.lab_result_samples (lab_result_id, sample_no, salmonella_absent, enterobacteriaceae_cfu_per_g)
                 select r.id, n, true, case when n <= 2 then 4999 else 10 end from raw_ops.lab_results r, generate_series(1, 5) n;
                 update raw_ops.lab_result_samples set {set} where sample_no = {number}"
            ),
            None => change.to_owned(),
        };
        sqlx::raw_sql(sqlx::AssertSqlSafe(change.clone())).execute(&mut *tx).await.unwrap_or_else(|error| panic!("{change}: {error}"));
        let refused = sqlx::query("select raw_ops.release_batch($1)").bind(batch).execute(&mut *tx).await;
        let said = message(&refused.map(|_| ()).expect_err(&change));
        assert!(said.starts_with(&format!("batch b1 is not released: {reason}")), "{change}: {said}");
        tx.rollback().await.expect("a transaction ends");
    }
    sample(&db).await;
    assert_eq!(release(db.pool(), batch).await, Ok("released".into()), "with all of that undone it goes");
}

#[tokio::test]
async fn whether_listeria_must_be_known_is_a_setting() {
    let db = Database::new().await;
    let (batch, _) = held(&db).await;
    execute(db.pool(), "update raw_ops.lab_results set listeria_absent = null").await;
    execute(db.pool(), "update raw_ops.config set value_numeric = 0 where key = 'lab.listeria_required'").await;
    assert_eq!(release(db.pool(), batch).await, Ok("released".into()));
}

#[tokio::test]
async fn a_batch_that_is_not_there_is_an_error() {
    let db = Database::new().await;
    let batch = Uuid::new_v4();
    assert_eq!(release(db.pool(), batch).await, Err(format!("there is no batch {batch}")));
}
