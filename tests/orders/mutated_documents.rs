//! A thousand spoilt documents: whatever the parse lets through, the database takes.

use jobs::orders::shopify_order::ShopifyOrder;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use uuid::Uuid;

use super::inbox::paid;
use crate::support::Database;

const DOCUMENTS: u64 = 1_000;

/// What a field can be spoilt with: wrong types, limits of types, text that is nearly right.
fn junk() -> Vec<Value> {
    let mut values = vec![json!(null), json!(true), json!([]), json!({}), json!([[]]), json!([null]), json!([{}]), json!({ "name": 1 })];
    values.extend([0, 1, -1, i64::MAX, i64::MIN].map(|number| json!(number)));
    values.extend([0.1, -0.5, 1e300, 1e-300, 0.005].map(|number| json!(number)));
    values.extend(
        ["", " ", "0", "-0", "1", "1e3", "1_000", " 1", "NaN", "Infinity", "0x10", "9999999999.99", "1.000", "1.001", "true", "é\u{1F436}"]
            .map(|text| json!(text)),
    );
    values.extend(
        ["2026-02-30T00:00:00Z", "2026-01-01", "0000-01-01T00:00:00Z", "9999-12-31T23:59:60+23:59", "2026-01-01T00:00:00"]
            .map(|text| json!(text)),
    );
    values.push(json!("x".repeat(20_000)));
    values
}

/// The places of a document, as pointers.
fn places(value: &Value, here: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(values) => values.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        _ => return,
    };
    for (name, child) in children {
        let place = format!("{here}/{name}");
        places(child, &place, found);
        found.push(place);
    }
}

fn remove(document: &mut Value, place: &str) {
    let (parent, name) = place.rsplit_once('/').expect("a place has a name");
    if let Some(Value::Object(fields)) = document.pointer_mut(parent) {
        fields.remove(name);
    }
}

#[tokio::test]
async fn whatever_the_parse_lets_through_the_database_takes() {
    let db = Database::new().await;
    let (junk, mut found) = (junk(), Vec::new());
    places(&paid(), "", &mut found);
    let mut taken = 0;
    for seed in 0..DOCUMENTS {
        let mut random = StdRng::seed_from_u64(seed);
        let mut document = paid();
        for _ in 0..random.random_range(1..=3) {
            let place = found.choose(&mut random).expect("an order has places");
            match document.pointer_mut(place) {
                Some(value) if random.random_bool(0.85) => *value = junk.choose(&mut random).expect("there is junk").clone(),
                _ => remove(&mut document, place),
            }
        }
        if ShopifyOrder::parse("orders/updated", &document).is_ok() {
            taken += 1;
            write_and_undo(&db, seed, &document).await;
        }
    }
    assert!(taken > DOCUMENTS / 4, "only {taken} documents went through: the junk is too wild to test anything");
}

async fn write_and_undo(db: &Database, seed: u64, document: &Value) {
    let mut tx = db.pool().begin().await.expect("a transaction begins");
    let inbox_id: Uuid = sqlx::query_scalar(
        "insert into raw_ops.webhook_inbox (topic, raw_headers, raw_payload) values ('orders/updated', '{}', $1) returning id",
    )
    .bind(document)
    .fetch_one(&mut *tx)
    .await
    .expect("the inbox takes any document");
    let outcome: Result<String, _> =
        sqlx::query_scalar("select outcome from raw_ops.process_order_webhook_txn($1)").bind(inbox_id).fetch_one(&mut *tx).await;
    assert_eq!(outcome.map_err(|error| error.to_string()), Ok("created".into()), "seed {seed}: {document}");
    tx.rollback().await.expect("a transaction ends");
}
