-- An allocation asks for the free batches of a product by a plan that is kept: with the first expiry date as an argument that might
-- change from row to row, the text of raw_ops.free_batches was read and planned anew at each call, a quarter of an allocation's time.
-- Locks: none but for the functions that are replaced.

-- As 0190.
create or replace function raw_ops.free_units(product uuid) returns integer
language plpgsql
as $$
declare
    first_expiry date := raw_ops.first_expiry();
begin
    return (select coalesce(sum(f.units), 0) from raw_ops.free_batches(product, first_expiry) f);
end
$$;

-- As 0190.
create or replace function raw_ops.reserve_stock(item uuid, product uuid, wanted integer, most integer, run uuid) returns integer
language plpgsql
as $$
declare
    got integer;
    first_expiry date := raw_ops.first_expiry();
begin
    with free as (
        select f.batch_id, f.units, f.expiry_date, f.produced_at,
            sum(f.units) over (order by f.expiry_date, f.produced_at, f.batch_id) - f.units as before
        from raw_ops.free_batches(product, first_expiry) f
    ),
    taken as (
        select f.batch_id, t.units, f.before + t.units as sum
        from free f cross join lateral (select least(f.units, least(wanted, most) - f.before) as units) t
        where f.before < least(wanted, most)
    ),
    reserved as (
        update raw_ops.batches b
        set qty_reserved = coalesce(b.qty_reserved, 0) + t.units, last_reservation_at = engine.now()
        from taken t where b.id = t.batch_id
    ),
    made as (
        insert into raw_ops.allocations
            (order_item_id, batch_id, qty_allocated, is_partial, remaining_qty, allocation_group_id, created_at)
        select item, t.batch_id, t.units, t.sum < wanted, wanted - t.sum, run, engine.now() from taken t order by t.sum
        returning qty_allocated
    )
    select coalesce(sum(m.qty_allocated), 0) into got from made m;
    return got;
end
$$;
