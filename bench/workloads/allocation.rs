//! The allocation of stock: a thousand orders of three lines, one transaction each.

use std::time::Instant;

use sqlx::{AssertSqlSafe, Executor, types::Uuid};

use crate::{
    figures::{Figures, RAWOPS},
    stage::Stage,
};

const ORDERS: i32 = 1000;

pub const NAME: &str = "allocation of 1,000 orders of 3 lines (ms)";

/// One round.
pub async fn measure(stage: &Stage, figures: &mut Figures) -> anyhow::Result<()> {
    stage.empty().await?;
    let orders = stock(stage).await?;
    let mut connection = stage.pool.acquire().await?;
    let begun = Instant::now();
    for order in &orders {
        sqlx::query("select outcome from raw_ops.allocate_order_to_batches($1)").bind(order).execute(&mut *connection).await?;
    }
    let taken = begun.elapsed();
    let allocated: i64 =
        sqlx::query_scalar("select count(*) from raw_ops.orders where status = 'ALLOCATED'").fetch_one(&mut *connection).await?;
    anyhow::ensure!(allocated == orders.len() as i64, "{allocated} of {} orders were allocated", orders.len());
    figures.note(NAME, RAWOPS, taken.as_secs_f64() * 1000.0);
    Ok(())
}

/// Three products with five batches each, and orders that are paid.
async fn stock(stage: &Stage) -> anyhow::Result<Vec<Uuid>> {
    stage.pool.execute("truncate raw_ops.products, raw_ops.batches cascade").await?;
    stage
        .pool
        .execute("insert into raw_ops.products (sku, name, kg) select 'AL-' || g, 'Product ' || g, 0.5 from generate_series(1, 3) g")
        .await?;
    stage
        .pool
        .execute(AssertSqlSafe(format!(
            "insert into raw_ops.batches (batch_code, product_id, produced_at, expiry_date, status, qty_on_hand, qty_reserved)
             select 'B' || p.sku || n, p.id, raw_ops.today() - 30, raw_ops.today() + 60 + n, 'RELEASED', {ORDERS}, 0
             from raw_ops.products p, generate_series(1, 5) n"
        )))
        .await?;
    let orders: Vec<Uuid> =
        sqlx::query_scalar("insert into raw_ops.orders (status) select 'PAID' from generate_series(1, $1) returning id")
            .bind(ORDERS)
            .fetch_all(&stage.pool)
            .await?;
    stage
        .pool
        .execute("insert into raw_ops.order_items (order_id, product_id, qty, unit_price_ex_vat) select o.id, p.id, 1, 1 from raw_ops.orders o, raw_ops.products p")
        .await?;
    Ok(orders)
}
