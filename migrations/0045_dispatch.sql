-- Stock leaves with a shipment, once.
--
-- Locks: share-row-exclusive on shipments, for a moment. At run time: the shipment's own row, then products, then batches.

-- Takes one batch's part of a shipment out of stock. Goods that have left are a fact: where the batch holds less than
-- that, it is emptied, and the log says how much was not there.
create function raw_ops.dispatch_from_batch(shipment uuid, batch uuid, units integer) returns void
language plpgsql
as $$
declare
    there integer;
begin
    select floor(coalesce(b.qty_on_hand, 0)) into there from raw_ops.batches b where b.id = batch;
    update raw_ops.batches b set qty_reserved = greatest(b.qty_reserved - units, 0) where b.id = batch;
    if there > 0 then
        perform raw_ops.move_stock(batch, -least(units, there), 'dispatch', format('shipment %s', shipment));
    end if;
    if there < units then
        perform raw_ops.log_event('BATCH', batch, 'stock_mismatch',
            format('%s units left with a shipment and only %s were on hand', units, there),
            jsonb_build_object('shipment_id', shipment, 'units', units, 'on_hand', there), null, shipment);
    end if;
end
$$;

-- Takes what the shipment's order has allocated, and no shipment took before, out of stock.
create function raw_ops.dispatch_stock(shipment uuid, shipped_order uuid) returns integer
language plpgsql
as $$
declare
    part record;
    taken integer := 0;
begin
    perform raw_ops.lock_products(array(select distinct f.product_id from raw_ops.open_allocations(shipped_order) f));
    perform from raw_ops.batches b
    where b.id in (select f.batch_id from raw_ops.open_allocations(shipped_order) f) order by b.id for no key update;

    for part in
        with gone as (
            insert into raw_ops.stock_dispatches (allocation_id, shipment_id, qty, dispatched_at)
            select f.allocation_id, shipment, f.units, engine.now() from raw_ops.open_allocations(shipped_order) f
            on conflict (allocation_id) do nothing
            returning allocation_id, qty
        )
        select a.batch_id, sum(g.qty)::integer as units
        from gone g join raw_ops.allocations a on a.id = g.allocation_id
        group by a.batch_id order by a.batch_id
    loop
        perform raw_ops.dispatch_from_batch(shipment, part.batch_id, part.units);
        taken := taken + part.units;
    end loop;
    return taken;
end
$$;

-- Runs whenever a shipment is dispatched, however often that is written: a shipment that took stock takes no more.
create function raw_ops.fn_decrement_inventory_on_dispatch() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from raw_ops.stock_dispatches d where d.shipment_id = new.id) then
        return null;
    end if;
    -- A second parcel of an order finds nothing left to take; an order without any allocation is a fault.
    if raw_ops.dispatch_stock(new.id, new.order_id) = 0 then
        perform raw_ops.log_event('SHIPMENT', new.id, 'dispatch_without_stock',
            'A shipment left and its order has no stock allocated: count the batch and adjust it by hand',
            jsonb_build_object('order_id', new.order_id, 'batch_id', new.batch_id), null, new.id)
        where not exists (select from raw_ops.ops_events e where e.entity_id = new.id and e.kind = 'dispatch_without_stock')
          and not exists (select from raw_ops.allocations a join raw_ops.order_items i on i.id = a.order_item_id
                          where i.order_id = new.order_id);
    end if;
    return null;
end
$$;
revoke execute on function raw_ops.fn_decrement_inventory_on_dispatch() from public;

create trigger trg_decrement_inventory_on_dispatch
after insert or update on raw_ops.shipments
for each row when (new.status = 'DISPATCHED')
execute function raw_ops.fn_decrement_inventory_on_dispatch();
