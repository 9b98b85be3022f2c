//! The views of batches: laboratory, money in hold, what is verified and what is in stock.

use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::stage::{ago, database, insert, now, row, rows, stamp, with};

const DAY: i64 = 1440;

/// A batch with these fields beside its code and date.
async fn batch(pool: &PgPool, code: &str, fields: Value) -> Uuid {
    insert(pool, "batches", with(json!({ "batch_code": code, "produced_at": "2026-03-01" }), fields)).await
}

/// Records kilograms of a batch in inventory, a place each.
async fn shelve(pool: &PgPool, batch: Uuid, shelves: &[f64]) {
    for (place, kg) in shelves.iter().enumerate() {
        insert(pool, "inventory", json!({ "batch_id": batch, "location": format!("shelf {place}"), "kg_available": kg })).await;
    }
}

async fn result(pool: &PgPool, batch: Uuid, outcome: &str, reported: i64) -> Uuid {
    let fields = json!({
        "batch_id": batch, "lab_name": "Lab", "report_pdf_url": "reports/1.pdf", "outcome": outcome, "reported_at": ago(reported),
        "salmonella_absent": outcome == "PASS", "enterobacteriaceae_operator": "<", "enterobacteriaceae_cfu_per_g": 10,
    });
    insert(pool, "lab_results", fields).await
}

/// (code, status, minutes since the hold began, minutes since the result)
const HELD: [(&str, &str, Option<i64>, Option<i64>); 9] = [
    ("waits", "QA_HOLD", Some(5 * DAY), None),
    ("waits-too-long", "QA_HOLD", Some(5 * DAY + 1), None),
    ("waits-undated", "QA_HOLD", None, None),
    ("in-time", "RELEASED", Some(10 * DAY), Some(5 * DAY)),
    ("late", "REJECTED", Some(10 * DAY), Some(5 * DAY - 1)),
    ("review", "QA_HOLD", Some(20 * DAY), Some(19 * DAY)),
    ("ninety-days", "RELEASED", Some(95 * DAY), Some(90 * DAY - 1)),
    ("older", "RELEASED", Some(95 * DAY), Some(90 * DAY)),
    ("released-unseen", "RELEASED", Some(5 * DAY), None),
];

#[tokio::test]
async fn a_batch_waits_for_its_result_and_is_late_after_five_days() {
    let db = database().await;
    let mut expected = Vec::new();
    for (code, status, held, reported) in HELD {
        // Where nobody wrote down the start of the hold it is that of the row.
        let fields = json!({ "status": status, "qa_hold_started_at": held.map(ago), "created_at": ago(2 * DAY) });
        let id = batch(db.pool(), code, fields).await;
        if let Some(reported) = reported {
            result(db.pool(), id, "PASS", reported).await;
        }
        let since = held.unwrap_or(2 * DAY);
        let listed = reported.map_or(status == "QA_HOLD", |reported| reported < 90 * DAY);
        if listed {
            expected.push(json!({
                "batch_code": code, "held_since": stamp(ago(since)),
                "waiting": reported.is_none().then_some(since), "turnaround": reported.map(|reported| since - reported),
                "max_days": 5, "is_late": since - reported.unwrap_or(0) > 5 * DAY,
            }));
        }
    }
    expected.sort_by_key(|row| row["batch_code"].to_string());
    let found = rows(
        db.pool(),
        "select batch_code, held_since, extract(epoch from waiting)::integer / 60 as waiting,
            extract(epoch from turnaround)::integer / 60 as turnaround, max_days, is_late
         from raw_ops.v_lab_sla_tracking order by batch_code collate \"C\"",
    )
    .await;
    assert_eq!(found, expected);
    assert_eq!(found.iter().filter(|row| row["is_late"] == json!(true)).count(), 3);
}

#[tokio::test]
async fn the_owner_says_how_long_a_result_may_take() {
    let db = database().await;
    batch(db.pool(), "a", json!({ "qa_hold_started_at": ago(3 * DAY) })).await;
    sqlx::raw_sql(
        "insert into raw_ops.config (key, value_numeric) values ('lab_sla.max_days', 2) on conflict (key) do update set value_numeric = 2",
    )
    .execute(db.pool())
    .await
    .expect("a setting can be made");
    assert_eq!(row(db.pool(), "select is_late, max_days from raw_ops.v_lab_sla_tracking").await, json!({ "is_late": true, "max_days": 2 }));
}

/// What a batch cost, and where its kilograms lie.
struct Costed {
    status: &'static str,
    kg_produced: Option<f64>,
    total: Option<f64>,
    per_kg: Option<f64>,
    shelves: &'static [f64],
}

impl Costed {
    fn cost(&self) -> Option<f64> {
        self.total.or(self.kg_produced.zip(self.per_kg).map(|(kg, rate)| kg * rate))
    }

    fn kg(&self) -> f64 {
        if self.shelves.is_empty() { self.kg_produced.unwrap_or(0.0) } else { self.shelves.iter().sum() }
    }
}

const COSTED: [Costed; 6] = [
    Costed { status: "QA_HOLD", kg_produced: Some(500.0), total: Some(1234.56), per_kg: Some(9.0), shelves: &[300.0, 150.5] },
    Costed { status: "QA_HOLD", kg_produced: Some(100.0), total: None, per_kg: Some(2.5), shelves: &[] },
    Costed { status: "QA_HOLD", kg_produced: Some(80.0), total: None, per_kg: None, shelves: &[80.0] },
    Costed { status: "QA_HOLD", kg_produced: None, total: None, per_kg: Some(3.0), shelves: &[] },
    Costed { status: "RELEASED", kg_produced: Some(900.0), total: Some(5000.0), per_kg: None, shelves: &[900.0] },
    Costed { status: "REJECTED", kg_produced: Some(900.0), total: Some(5000.0), per_kg: None, shelves: &[] },
];

#[tokio::test]
async fn money_in_hold_is_the_cost_of_the_batches_held() {
    let db = database().await;
    for (number, costed) in COSTED.iter().enumerate() {
        let fields = json!({
            "status": costed.status, "kg_produced": costed.kg_produced, "total_cost_gbp": costed.total, "cogs_per_kg_gbp": costed.per_kg,
            "created_at": ago(number as i64),
        });
        let id = batch(db.pool(), &number.to_string(), fields).await;
        shelve(db.pool(), id, costed.shelves).await;
    }
    let held = || COSTED.iter().filter(|costed| costed.status == "QA_HOLD");
    assert_eq!(
        row(
            db.pool(),
            "select batches, batches_without_cost, held_gbp::float8, held_kg::float8, oldest_held_since
             from raw_ops.v_working_capital_metrics"
        )
        .await,
        json!({
            "batches": held().count(), "batches_without_cost": held().filter(|costed| costed.cost().is_none()).count(),
            "held_gbp": held().filter_map(Costed::cost).sum::<f64>(), "held_kg": held().map(Costed::kg).sum::<f64>(),
            "oldest_held_since": stamp(ago(3)),
        })
    );
}

#[tokio::test]
async fn only_released_batches_with_a_passing_result_are_verified() {
    let db = database().await;
    for status in ["QA_HOLD", "RELEASED", "REJECTED", "RECALLED", "DEPLETED"] {
        for outcome in [None, Some("PASS"), Some("FAIL"), Some("REVIEW")] {
            let id = batch(db.pool(), &format!("{status} {}", outcome.unwrap_or("none")), json!({ "status": status })).await;
            if let Some(outcome) = outcome {
                result(db.pool(), id, outcome, 60).await;
            }
        }
    }
    assert_eq!(
        rows(
            db.pool(),
            "select batch_code, outcome, salmonella_absent, enterobacteriaceae_operator, enterobacteriaceae_cfu_per_g, reported_at
             from raw_ops.v_released_batches_verified"
        )
        .await,
        [json!({
            "batch_code": "RELEASED PASS", "outcome": "PASS", "salmonella_absent": true, "enterobacteriaceae_operator": "<",
            "enterobacteriaceae_cfu_per_g": 10, "reported_at": stamp(ago(60)),
        })]
    );
}

/// A batch of the only product, 12 kg a unit.
struct Stock {
    status: &'static str,
    days_to_expiry: Option<i64>,
    on_hand: f64,
    reserved: f64,
    shelves: &'static [f64],
}

impl Stock {
    const fn new(status: &'static str, days_to_expiry: Option<i64>, on_hand: f64, reserved: f64, shelves: &'static [f64]) -> Self {
        Self { status, days_to_expiry, on_hand, reserved, shelves }
    }

    /// Its row of the view; none when nothing is there.
    fn shown(&self, code: usize) -> Option<Value> {
        let recorded = (!self.shelves.is_empty()).then(|| self.shelves.iter().sum::<f64>() as i64);
        let expected = (self.on_hand * 12.0) as i64;
        let is_free = self.status == "RELEASED" && self.days_to_expiry.is_none_or(|days| days >= 0);
        (self.on_hand > 0.0 || recorded.is_some_and(|kg| kg > 0)).then(|| {
            json!({
                "batch_code": code.to_string(), "sku": "BEEF-12", "days_to_expiry": self.days_to_expiry,
                "units_free": if is_free { (self.on_hand - self.reserved).floor() as i64 } else { 0 },
                "kg_expected": expected, "kg_recorded": recorded, "kg_drift": recorded.map(|kg| kg - expected),
                "places": (!self.shelves.is_empty()).then_some(self.shelves.len()),
            })
        })
    }
}

const STOCK: [Stock; 8] = [
    Stock::new("RELEASED", Some(30), 40.0, 15.0, &[100.0, 380.0]),
    Stock::new("RELEASED", Some(0), 5.0, 0.0, &[60.0]),
    Stock::new("RELEASED", Some(-1), 5.0, 0.0, &[60.0]),
    Stock::new("RELEASED", None, 7.5, 1.0, &[]),
    Stock::new("QA_HOLD", Some(30), 40.0, 0.0, &[480.0]),
    Stock::new("RECALLED", Some(30), 3.0, 3.0, &[]),
    Stock::new("RELEASED", Some(30), 0.0, 0.0, &[]),
    Stock::new("DEPLETED", Some(30), 0.0, 0.0, &[1.0]),
];

#[tokio::test]
async fn only_released_stock_in_date_is_free() {
    let db = database().await;
    let product = insert(db.pool(), "products", json!({ "sku": "BEEF-12", "name": "Beef", "kg": 12 })).await;
    for (number, stock) in STOCK.iter().enumerate() {
        let expiry = stock.days_to_expiry.map(|days| now().date_naive() + chrono::Duration::days(days));
        let fields = json!({
            "product_id": product, "status": stock.status, "expiry_date": expiry, "qty_on_hand": stock.on_hand,
            "qty_reserved": stock.reserved,
        });
        let id = batch(db.pool(), &number.to_string(), fields).await;
        shelve(db.pool(), id, stock.shelves).await;
    }
    let found = rows(
        db.pool(),
        "select batch_code, sku, days_to_expiry, units_free::integer, kg_expected::integer, kg_recorded::integer, kg_drift::integer,
            cardinality(locations) as places
         from raw_ops.v_inventory_status order by batch_code",
    )
    .await;
    let expected: Vec<Value> = STOCK.iter().enumerate().filter_map(|(number, stock)| stock.shown(number)).collect();
    assert_eq!(found, expected);
    assert_eq!(found.len(), 7);
}
