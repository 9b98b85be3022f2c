-- What is derived from the units of batches, where it does not agree with them: read every night, and by whoever asks.
-- Locks: none.

create function raw_ops.stock_drift() returns table (figure text, subject text, expected numeric, found numeric)
language sql stable
as $$
    select 'units reserved of a batch', b.batch_code, coalesce(a.units, 0), coalesce(b.qty_reserved, 0)
    from raw_ops.batches b
    left join (
        select a.batch_id, sum(a.qty_allocated) as units from raw_ops.allocations a
        where not exists (select from raw_ops.stock_dispatches d where d.allocation_id = a.id)
        group by a.batch_id
    ) a on a.batch_id = b.id
    where coalesce(b.qty_reserved, 0) <> coalesce(a.units, 0)
    union all
    select 'kilograms of a batch', r.batch_code, r.kg_expected, r.kg_recorded
    from raw_ops.get_current_inventory_for_reconciliation() r
    where abs(r.kg_recorded - r.kg_expected) > 0.001
    union all
    select 'units on hand of a product', p.sku, s.units, coalesce(h.qty_available, 0)
    from raw_ops.products p
    cross join lateral (
        select coalesce(floor(sum(b.qty_on_hand)), 0) as units from raw_ops.batches b where b.product_id = p.id and b.status = 'RELEASED'
    ) s
    left join raw_ops.inventory_on_hand h on h.sku = p.sku
    where coalesce(h.qty_available, 0) <> s.units
$$;
comment on function raw_ops.stock_drift() is 'Figures that are derived from the units of batches and do not agree with them.';
