-- What stock there is: products that run low, and what a count on the shelf is compared with.
--
-- Locks: creates new objects only.

-- Active products with fewer free units than the settings allow, the worst first. units_waiting is what orders that
-- wait still need.
create function raw_ops.get_low_stock_alerts()
returns table (product_id uuid, sku text, name text, units_available integer, units_waiting integer, threshold integer, severity text)
language sql volatile
as $$
    with setting as materialized (
        select raw_ops.threshold('stock.low_units') as low, raw_ops.threshold('stock.critical_units') as critical,
            raw_ops.first_expiry() as first_expiry
    ),
    waiting as (
        select n.product_id, sum(n.units)::integer as units
        from (select distinct q.order_id from raw_ops.allocation_queue q where q.state = 'pending') w
        cross join lateral raw_ops.order_needs(w.order_id) n
        group by n.product_id
    )
    select p.id, p.sku, p.name, f.units, coalesce(w.units, 0),
        (case when f.units < s.critical then s.critical else s.low end)::integer,
        case when f.units < s.critical then 'critical' else 'warning' end
    from raw_ops.products p
    cross join setting s
    cross join lateral (
        select coalesce(sum(b.units), 0)::integer as units from raw_ops.free_batches(p.id, s.first_expiry) b
    ) f
    left join waiting w on w.product_id = p.id
    where p.is_active and (f.units < s.low or f.units < s.critical)
    order by f.units - coalesce(w.units, 0), p.sku
$$;

-- Every batch that holds something, in units and in kilograms. drift_kg is what inventory says beyond the truth, the
-- units; null where inventory says nothing about the batch.
create function raw_ops.get_current_inventory_for_reconciliation()
returns table (
    sku text, product text, batch_id uuid, batch_code text, status raw_ops.batch_status, expiry_date date, qty_on_hand numeric,
    qty_reserved numeric, qty_available numeric, kg_expected numeric, kg_recorded numeric, drift_kg numeric
)
language sql stable
as $$
    select p.sku, p.name, b.id, b.batch_code, b.status, b.expiry_date, q.on_hand, q.reserved, q.on_hand - q.reserved,
        q.on_hand * p.kg, v.kg, v.kg - q.on_hand * p.kg
    from raw_ops.batches b
    cross join lateral (select coalesce(b.qty_on_hand, 0) as on_hand, coalesce(b.qty_reserved, 0) as reserved) q
    left join raw_ops.products p on p.id = b.product_id
    left join lateral (select sum(i.kg_available) as kg from raw_ops.inventory i where i.batch_id = b.id) v on true
    where q.on_hand > 0 or v.kg > 0
    order by p.sku, b.expiry_date, b.batch_code
$$;
