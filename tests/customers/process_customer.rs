//! Customer documents, and orders beside them.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::orders::inbox::{count, later, paid, process, receive, row};
use crate::orders::shared_documents::documents;
use crate::support::{Database, run_all};

const ADA: i64 = 7_234_567_890_123_456_789;

/// Ada's own document some seconds after the paid order, with these fields in place of its own.
fn ada(seconds: u32, fields: Value) -> Value {
    let mut document = json!({
        "id": ADA, "email": "ada@example.test", "first_name": "Ada", "last_name": "Bell", "phone": "+441",
        "updated_at": format!("2026-03-29T02:00:{:02}+01:00", 1 + seconds),
        "email_marketing_consent": { "state": "subscribed" },
        "default_address": { "address1": "2 Hill Road", "city": "Leeds", "zip": "LS1 1AA", "country_code": "GB" },
    });
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    document.as_object_mut().expect("an object").extend(fields);
    document
}

async fn told(pool: &PgPool, document: &Value) -> Result<String, String> {
    let inbox_id = receive(pool, "customers/update", document).await;
    sqlx::query_scalar("select outcome from raw_ops.process_customer_webhook_txn($1)")
        .bind(inbox_id)
        .fetch_one(pool)
        .await
        .map_err(|error| error.to_string())
}

async fn known(db: &Database) -> Value {
    row(db.pool(), "select email, phone, address1, marketing_opt_in from raw_ops.customers").await
}

#[tokio::test]
async fn an_older_document_never_overwrites_a_newer_one() {
    let db = Database::new().await;
    assert_eq!(told(db.pool(), &ada(5, json!({}))).await, Ok("created".into()));
    let newest = json!({ "email": "ada@new.test", "phone": null, "address1": null, "marketing_opt_in": false });
    let moved =
        json!({ "email": "ada@new.test", "phone": null, "default_address": null, "email_marketing_consent": { "state": "unsubscribed" } });
    assert_eq!(told(db.pool(), &ada(9, moved)).await, Ok("updated".into()));
    assert_eq!(known(&db).await, newest);
    assert_eq!(told(db.pool(), &ada(7, json!({}))).await, Ok("stale".into()));
    assert_eq!(known(&db).await, newest);
    // Nor does an order that is older than the customer's own document.
    process(db.pool(), &paid()).await.expect("the order is sound");
    assert_eq!(known(&db).await, newest);
    assert_eq!(count(db.pool(), "raw_ops.orders o join raw_ops.customers c on c.id = o.customer_id").await, 1);
    // A newer one tells what it knows, and gives no consent.
    process(db.pool(), &later(20, json!({}))).await.expect("the order is sound");
    assert_eq!(
        known(&db).await,
        json!({ "email": "ada@example.test", "phone": null, "address1": "1 Quay Street", "marketing_opt_in": false })
    );
}

#[tokio::test]
async fn consent_is_given_by_the_customers_own_document() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    for (seconds, state, agreed) in [(2, "unsubscribed", false), (3, "subscribed", true), (4, "pending", false)] {
        assert_eq!(told(db.pool(), &ada(seconds, json!({ "email_marketing_consent": { "state": state } }))).await, Ok("updated".into()));
        assert_eq!(known(&db).await["marketing_opt_in"], agreed, "{state}");
    }
    assert_eq!(count(db.pool(), "raw_ops.customers").await, 1);
}

#[tokio::test]
async fn what_a_document_leaves_out_is_left() {
    let db = Database::new().await;
    told(db.pool(), &ada(5, json!({}))).await.expect("it is sound");
    let before = known(&db).await;
    told(db.pool(), &json!({ "id": ADA, "updated_at": "2026-04-01T00:00:00Z" })).await.expect("it is sound");
    assert_eq!(known(&db).await, before);
}

#[tokio::test]
async fn an_address_for_mail_that_is_anothers_is_told_and_not_taken() {
    let db = Database::new().await;
    told(db.pool(), &ada(1, json!({}))).await.expect("it is sound");
    told(db.pool(), &ada(2, json!({ "id": 8, "email": "bea@example.test" }))).await.expect("it is sound");
    told(db.pool(), &ada(3, json!({ "id": 8 }))).await.expect("it is sound");
    assert_eq!(count(db.pool(), "raw_ops.customers where shopify_customer_id = '8' and email = 'bea@example.test'").await, 1);
    assert_eq!(count(db.pool(), "raw_ops.ops_events where kind = 'customer_conflict'").await, 1);
}

#[tokio::test]
async fn the_job_names_what_is_no_customer() {
    let db = Database::new().await;
    receive(db.pool(), "customers/update", &ada(1, json!({}))).await;
    receive(db.pool(), "customers/update", &json!({ "id": "007" })).await;
    run_all(&db, jobs::kinds()).await;
    assert_eq!(count(db.pool(), "raw_ops.customers").await, 1);
    let letter = row(db.pool(), "select topic, error_message from raw_ops.dead_letter_queue").await;
    assert_eq!(letter, json!({ "topic": "customers.process_customer", "error_message": "id: expected an id, a positive integer" }));
}

#[tokio::test]
async fn every_shared_customer_is_written_and_is_stale_the_second_time_it_is_older() {
    let db = Database::new().await;
    let mut seen = 0;
    for (file, topic, document) in documents().into_iter().filter(|(_, topic, _)| topic == "customers/update") {
        let document = document.get("customer").cloned().unwrap_or(document);
        assert_eq!(told(db.pool(), &document).await, Ok("created".into()), "{file} {topic}");
        let stored = row(
            db.pool(),
            &format!(
                "select shopify_customer_id, email, first_name from raw_ops.customers where shopify_customer_id = '{}'",
                document["id"]
            ),
        )
        .await;
        assert_eq!(stored["email"], document["email"], "{file}");
        assert_eq!(stored["first_name"], document["first_name"], "{file}");
        seen += 1;
    }
    assert!(seen == 0 || seen == 3, "{seen} customers are in the collection");
}
