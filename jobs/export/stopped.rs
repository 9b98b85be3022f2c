//! A person's word that the packer did not send an order that Shopify ended when he had it.

use sqlx::PgPool;

/// Ends the order of this name, the packer's or the shop's: its stock comes back, its export and its cases say so. Whether it is
/// news: false when it had been ended so before.
///
/// # Errors
/// The database's, with its words when there is no such order, it has left, or Shopify has not ended it.
pub async fn resolve_stopped_order(pool: &PgPool, order: &str, who: &str) -> sqlx::Result<bool> {
    let outcome: String = sqlx::query_scalar("select raw_ops.resolve_stopped_order($1, $2)").bind(order).bind(who).fetch_one(pool).await?;
    Ok(outcome == "stopped")
}
