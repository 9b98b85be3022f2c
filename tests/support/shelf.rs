//! The stock room of the tests: products, batches in any state, orders that want some of it.

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

/// A batch, released with ten units that last for 90 days unless it says otherwise.
#[derive(Debug, Clone)]
pub struct Batch {
    pub status: &'static str,
    pub on_hand: i32,
    pub reserved: i32,
    /// Days from today to its expiry date; none when it has no such date.
    pub expires_in: Option<i32>,
}

impl Default for Batch {
    fn default() -> Self {
        Self { status: "RELEASED", on_hand: 10, reserved: 0, expires_in: Some(90) }
    }
}

impl Batch {
    /// So many units that last so many days.
    pub fn of(on_hand: i32, expires_in: i32) -> Self {
        Self { on_hand, expires_in: Some(expires_in), ..Self::default() }
    }

    /// In this status.
    pub fn status(self, status: &'static str) -> Self {
        Self { status, ..self }
    }

    /// Puts it on the shelf.
    pub async fn put(self, pool: &PgPool, code: &str, product: Uuid) -> Uuid {
        sqlx::query_scalar(
            "insert into raw_ops.batches (batch_code, product_id, produced_at, expiry_date, status, qty_on_hand, qty_reserved)
             values ($1, $2, raw_ops.today() - 30, raw_ops.today() + $3, $4::raw_ops.batch_status, $5, $6) returning id",
        )
        .bind(code)
        .bind(product)
        .bind(self.expires_in)
        .bind(self.status)
        .bind(self.on_hand)
        .bind(self.reserved)
        .fetch_one(pool)
        .await
        .expect("the batch is sound")
    }
}

/// A product of half a kilogram a unit.
pub async fn product(pool: &PgPool, sku: &str) -> Uuid {
    sqlx::query_scalar("insert into raw_ops.products (sku, name, kg) values ($1, $1, 0.5) returning id")
        .bind(sku)
        .fetch_one(pool)
        .await
        .expect("the product is new")
}

/// A paid order for so many units of each product; its request for stock and the job for it are there too.
pub async fn order(pool: &PgPool, lines: &[(Uuid, i32)]) -> Uuid {
    let mut tx = pool.begin().await.expect("a transaction begins");
    let order: Uuid = sqlx::query_scalar("insert into raw_ops.orders (status) values ('PAID') returning id")
        .fetch_one(&mut *tx)
        .await
        .expect("an order can be made");
    for (product, units) in lines {
        sqlx::query("insert into raw_ops.order_items (order_id, product_id, qty, unit_price_ex_vat) values ($1, $2, $3, 1)")
            .bind(order)
            .bind(product)
            .bind(units)
            .execute(&mut *tx)
            .await
            .expect("a line can be made");
    }
    tx.commit().await.expect("a transaction ends");
    order
}

/// Allocates an order: outcome, units given by this call, units still missing.
pub async fn allocate(pool: &PgPool, order: Uuid) -> (String, i32, i32) {
    sqlx::query_as("select outcome, units_allocated, units_missing from raw_ops.allocate_order_to_batches($1)")
        .bind(order)
        .fetch_one(pool)
        .await
        .expect("the order is there")
}

/// A lab result that lets a batch go.
pub async fn pass(pool: &PgPool, batch: Uuid) -> Uuid {
    sqlx::query_scalar(
        "insert into raw_ops.lab_results (batch_id, lab_name, report_pdf_url, salmonella_absent, listeria_absent,
             enterobacteriaceae_cfu_per_g, outcome, pdf_hash, reported_at)
         values ($1, 'Lab', 'lab/1.pdf', true, true, 10, 'PASS', $1::text, engine.now()) returning id",
    )
    .bind(batch)
    .fetch_one(pool)
    .await
    .expect("the result is sound")
}

/// Releases a batch; what came of it, or the refusal.
pub async fn release(pool: &PgPool, batch: Uuid) -> Result<String, String> {
    sqlx::query_scalar("select outcome from raw_ops.release_batch($1, 'ann')")
        .bind(batch)
        .fetch_one(pool)
        .await
        .map_err(|error| message(&error))
}

/// What the database says, without the words around it.
pub fn message(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// The rows of a query, each as an array of its columns.
pub async fn rows(pool: &PgPool, query: &str) -> Value {
    let sql = format!(
        "select coalesce(jsonb_agg((select jsonb_agg(c.value order by c.place)
                                    from json_each(row_to_json(q)) with ordinality c (name, value, place))), '[]')
         from ({query}) q"
    );
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(pool).await.expect("the query is sound")
}
