//! The books of a seeded company balance: money, stock, allocations, credit.

use super::{none, seeded};
use crate::support::{Database, ledger::count};

/// Everything that must add up, on any seeded database.
pub async fn balance(db: &Database) {
    stock(db).await;
    money(db).await;
}

async fn stock(db: &Database) {
    none(
        db,
        "a batch whose units are not what was made, moved and left",
        "
        select b.batch_code from raw_ops.batches b join raw_ops.products p on p.id = b.product_id
        where b.qty_on_hand is distinct from (select sum(m.qty_change) from raw_ops.inventory_movements m where m.reference_id = b.id)
           or b.kg_produced is distinct from p.kg * (select m.qty_change from raw_ops.inventory_movements m
                                                     where m.reference_id = b.id and m.movement_type = 'production')",
    )
    .await;
    none(
        db,
        "a batch whose dispatches are not its movements",
        "
        select b.batch_code from raw_ops.batches b
        where (select coalesce(sum(d.qty), 0) from raw_ops.stock_dispatches d join raw_ops.allocations a on a.id = d.allocation_id
               where a.batch_id = b.id)
            <> (select coalesce(-sum(m.qty_change), 0) from raw_ops.inventory_movements m
                where m.reference_id = b.id and m.movement_type = 'dispatch')",
    )
    .await;
    none(
        db,
        "a batch whose reservation is not its open allocations",
        "
        select b.batch_code from raw_ops.batches b
        where b.qty_reserved <> (select coalesce(sum(a.qty_allocated), 0) from raw_ops.allocations a where a.batch_id = b.id
                                 and not exists (select from raw_ops.stock_dispatches d where d.allocation_id = a.id))",
    )
    .await;
    none(
        db,
        "a batch of which more was allocated than made",
        "
        select b.batch_code from raw_ops.batches b join raw_ops.products p on p.id = b.product_id
        where (select sum(a.qty_allocated) from raw_ops.allocations a where a.batch_id = b.id) > b.kg_produced / p.kg",
    )
    .await;
    none(
        db,
        "a product whose snapshot is not its released batches",
        "
        select h.sku from raw_ops.inventory_on_hand h join raw_ops.products p on p.sku = h.sku
        where h.qty_available <> (select coalesce(sum(b.qty_on_hand), 0) from raw_ops.batches b
                                  where b.product_id = p.id and b.status in ('RELEASED', 'DEPLETED'))",
    )
    .await;
    none(
        db,
        "a batch whose cost is not its kilograms at its rate",
        "
        select b.batch_code from raw_ops.batches b where abs(b.total_cost_gbp - b.kg_produced * b.cogs_per_kg_gbp) > 0.01
           or b.cogs_per_kg_gbp not between 2 and 9",
    )
    .await;
    none(
        db,
        "a batch whose kilograms are not its units",
        "
        select r.batch_code from raw_ops.get_current_inventory_for_reconciliation() r where r.drift_kg is distinct from 0",
    )
    .await;
}

async fn money(db: &Database) {
    none(db, "an order whose money is not its lines, its discount, its delivery and VAT", "
        select o.order_number_label from raw_ops.orders o
        cross join lateral (select sum(i.qty * i.unit_price_ex_vat) as net, sum(i.qty) as units from raw_ops.order_items i where i.order_id = o.id) l
        where o.total_inc_vat < o.vat or abs(o.vat * 6 - o.total_inc_vat) > 0.05
           -- Each price is rounded to the penny once a unit, the discount holds VAT.
           or abs(l.net - o.discount_gbp / 1.2 - o.subtotal_ex_vat) > 0.005 * l.units + 0.02
           or o.total_inc_vat - o.vat - o.subtotal_ex_vat not between 0 and 4.97").await;
    none(
        db,
        "an order without lines",
        "
        select o.order_number_label from raw_ops.orders o where not exists (select from raw_ops.order_items i where i.order_id = o.id)",
    )
    .await;
    none(
        db,
        "an order refunded beyond what was paid",
        "
        select o.order_number_label from raw_ops.orders o
        where (select sum(r.amount_gbp) from raw_ops.refunds r where r.order_id = o.id) > o.total_inc_vat",
    )
    .await;
    none(db, "a refunded or cancelled and paid order without its refund", "
        select o.order_number_label from raw_ops.orders o
        where (o.status = 'REFUNDED' or (o.status = 'CANCELLED' and o.notes_json ->> 'financial_status' = 'refunded'))
          and o.total_inc_vat <> (select coalesce(sum(r.amount_gbp), 0) from raw_ops.refunds r where r.order_id = o.id and r.refund_type = 'full')").await;
    none(
        db,
        "credit whose rest is not what was not used",
        "
        select c.id::text from raw_ops.customer_credits c
        where c.remaining_pence <> c.amount_pence - (select coalesce(sum(a.amount_applied_pence), 0)
                                                     from raw_ops.customer_credit_applications a where a.credit_id = c.id)",
    )
    .await;
    none(
        db,
        "an order whose credit is not its applications",
        "
        select o.order_number_label from raw_ops.orders o
        where o.credit_applied_pence <> (select coalesce(sum(a.amount_applied_pence), 0)
                                         from raw_ops.customer_credit_applications a where a.order_id = o.id)",
    )
    .await;
}

#[tokio::test]
async fn money_and_stock_add_up() {
    let db = seeded(3_000).await;
    balance(&db).await;
    for (what, query) in [
        ("recalls", "select count(*) from raw_ops.batches where status = 'RECALLED'"),
        ("failed batches", "select count(*) from raw_ops.lab_results where outcome = 'FAIL'"),
        ("unclear batches", "select count(*) from raw_ops.lab_results where outcome = 'REVIEW'"),
        ("batches in the laboratory", "select count(*) from raw_ops.batches where status = 'QA_HOLD'"),
        ("counts", "select count(*) from raw_ops.inventory_movements where movement_type = 'manual_adjustment'"),
        ("credit that was used", "select count(*) from raw_ops.customer_credit_applications"),
        ("refunds", "select count(*) from raw_ops.refunds"),
        ("orders of the last day", "select count(*) from raw_ops.orders where ordered_at > timestamptz '2026-02-28 12:00Z'"),
    ] {
        assert!(count(db.pool(), query).await > 0, "{what} are part of the story");
    }
}

#[tokio::test]
async fn each_product_has_one_chain_of_movements() {
    let db = seeded(400).await;
    none(
        &db,
        "a movement that does not begin where the one before ended",
        "
        select m.sku || ' ' || m.created_at from (
            select m.*, lag(m.qty_after, 1, 0) over (partition by m.sku order by m.created_at, m.ctid) as ended
            from raw_ops.inventory_movements m) m
        where m.qty_before <> m.ended or m.qty_after < 0",
    )
    .await;
}

#[tokio::test]
async fn stock_is_taken_from_what_expires_first_and_is_released() {
    let db = seeded(1_500).await;
    none(&db, "a line that took a batch before it was released, or after it was called back", "
        select b.batch_code from raw_ops.allocations a join raw_ops.batches b on b.id = a.batch_id
        where b.released_at is null or a.created_at < b.released_at
           or exists (select from raw_ops.batch_status_history h where h.batch_id = b.id and h.new_status = 'RECALLED' and h.created_at < a.created_at)").await;
    none(
        &db,
        "a line that took a batch after one that expires later",
        "
        select older.id::text from raw_ops.allocations older
        join raw_ops.batches o on o.id = older.batch_id
        join raw_ops.batches n on n.product_id = o.product_id and n.expiry_date < o.expiry_date and n.released_at <= older.created_at
        join raw_ops.allocations newer on newer.batch_id = n.id and newer.created_at > older.created_at",
    )
    .await;
    none(
        &db,
        "a line with more or less than it wants, of an order that was sent",
        "
        select o.order_number_label from raw_ops.orders o join raw_ops.order_items i on i.order_id = o.id
        where o.status in ('ALLOCATED', 'EXPORTED', 'DISPATCHED', 'DELIVERED') and i.product_id is not null
          and i.qty <> (select coalesce(sum(a.qty_allocated), 0) from raw_ops.allocations a where a.order_item_id = i.id)",
    )
    .await;
    none(
        &db,
        "an order that waits though the product is there",
        "
        select o.order_number_label from raw_ops.orders o cross join lateral raw_ops.order_needs(o.id) n
        where o.status in ('PAID', 'PARTIALLY_ALLOCATED') and exists (
            select from raw_ops.free_batches(n.product_id, date '2026-03-01') f)",
    )
    .await;
    none(
        &db,
        "an order that waited for longer than two days",
        "
        select o.order_number_label from raw_ops.orders o
        where o.status in ('PAID', 'PARTIALLY_ALLOCATED') and o.ordered_at < timestamptz '2026-02-27 12:00Z'",
    )
    .await;
}
