-- Stock moves: by hand, and out of the door with a shipment.
--
-- The units on hand of a batch are the truth. A movement says, in the same transaction, what changed them and what the
-- SKU's units over all batches were before and after; inventory (kg) and inventory_on_hand (units that are released)
-- are brought up to date with it.
-- Locks: share-row-exclusive on inventory and shipments, for a moment. At run time as allocation: products, then batches.

-- Brings the SKU's snapshot in inventory_on_hand up to date.
create function raw_ops.refresh_on_hand(product uuid) returns void
language plpgsql
as $$
begin
    insert into raw_ops.inventory_on_hand as h (sku, qty_available, updated_at, created_at)
    select p.sku, coalesce(floor(sum(b.qty_on_hand)), 0), engine.now(), engine.now()
    from raw_ops.products p
    left join raw_ops.batches b on b.product_id = p.id and b.status = 'RELEASED'
    where p.id = product
    group by p.sku
    on conflict (sku) do update set qty_available = excluded.qty_available, updated_at = excluded.updated_at
    where h.qty_available <> excluded.qty_available;
end
$$;

-- Brings the kilograms of a batch in inventory up to date: where it lies in several places, that with the most gives
-- or takes.
create function raw_ops.refresh_inventory(batch uuid) returns void
language plpgsql
as $$
begin
    -- log_inventory_movement is silent meanwhile: whoever moved the units wrote their movement.
    perform set_config('rawops.stock_moved', 'on', true);
    insert into raw_ops.inventory as v (batch_id, location, kg_available, updated_at)
    select b.id, coalesce(largest.location, '3PL-PRIMARY'),
        greatest(b.qty_on_hand * p.kg - coalesce(elsewhere.kg, 0), 0), engine.now()
    from raw_ops.batches b
    join raw_ops.products p on p.id = b.product_id
    left join lateral (
        select i.location from raw_ops.inventory i where i.batch_id = b.id order by i.kg_available desc, i.location limit 1
    ) largest on true
    left join lateral (
        select sum(i.kg_available) as kg from raw_ops.inventory i where i.batch_id = b.id and i.location <> largest.location
    ) elsewhere on true
    where b.id = batch
    on conflict (batch_id, location) do update set kg_available = excluded.kg_available, updated_at = excluded.updated_at
    where v.kg_available <> excluded.kg_available;
    perform set_config('rawops.stock_moved', 'off', true);
end
$$;

-- Changes the units on hand of a batch and writes the movement. The caller holds the product and the batch.
-- Returns the movement.
create function raw_ops.move_stock(batch uuid, change integer, kind text, notes text) returns uuid
language plpgsql
as $$
declare
    moved_sku text;
    product uuid;
    before integer;
    movement uuid;
begin
    select p.sku, p.id into moved_sku, product
    from raw_ops.batches b join raw_ops.products p on p.id = b.product_id where b.id = batch;
    select floor(sum(b.qty_on_hand)) into before from raw_ops.batches b where b.product_id = product;

    update raw_ops.batches b set qty_on_hand = coalesce(b.qty_on_hand, 0) + change where b.id = batch;
    insert into raw_ops.inventory_movements
        (sku, movement_type, qty_change, qty_before, qty_after, reference_id, reference_type, notes, created_at)
    values (moved_sku, kind, change, coalesce(before, 0), coalesce(before, 0) + change, batch, 'batch', move_stock.notes, engine.now())
    returning id into movement;
    perform raw_ops.refresh_inventory(batch);
    perform raw_ops.refresh_on_hand(product);
    return movement;
end
$$;

-- Writes a movement for a change of inventory that did not come with a change of the batch's units: somebody edited
-- the row. The batch stays as it is, and a monitor shows the difference.
create function raw_ops.log_inventory_movement() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if current_setting('rawops.stock_moved', true) = 'on' then
        return null;
    end if;
    insert into raw_ops.inventory_movements
        (sku, movement_type, qty_change, qty_before, qty_after, reference_id, reference_type, notes, created_at)
    select u.sku, 'inventory_edit', u.after - u.before, u.before, u.after, new.batch_id, 'batch',
        format('%s: %s kg became %s kg, by %s', new.location, old.kg_available, new.kg_available, session_user), engine.now()
    from (
        select coalesce(p.sku, b.batch_code) as sku,
            round(old.kg_available / coalesce(nullif(p.kg, 0), 1))::integer as before,
            round(new.kg_available / coalesce(nullif(p.kg, 0), 1))::integer as after
        from raw_ops.batches b left join raw_ops.products p on p.id = b.product_id
        where b.id = new.batch_id
    ) u;
    return null;
end
$$;
revoke execute on function raw_ops.log_inventory_movement() from public;

create trigger trg_log_inventory_movement
after update on raw_ops.inventory
for each row when (old.kg_available is distinct from new.kg_available)
execute function raw_ops.log_inventory_movement();

-- Corrects the units on hand of a batch by hand: what was counted, broken or found.
--
-- Orders that wait are looked at again when there is more. What is reserved cannot be taken away: the orders that
-- hold it must give it back first. Errors: 22023 when an argument is wrong, 23514 when the stock does not allow it.
create function raw_ops.execute_manual_inventory_adjustment(batch_id uuid, qty_change integer, reason text, adjusted_by text)
returns table (movement_id uuid, qty_before numeric, qty_after numeric)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    batch raw_ops.batches;
begin
    if coalesce(qty_change, 0) = 0 or coalesce(btrim(reason), '') = '' or coalesce(btrim(adjusted_by), '') = '' then
        raise exception 'an adjustment needs a change that is not 0, a reason and the name of who makes it' using errcode = '22023';
    end if;
    perform raw_ops.lock_products(array(select b.product_id from raw_ops.batches b where b.id = $1));
    select * into batch from raw_ops.batches b where b.id = $1 for no key update;
    if batch.product_id is null then
        raise exception 'there is no batch % of a product', $1 using errcode = '22023';
    elsif coalesce(batch.qty_on_hand, 0) + qty_change < coalesce(batch.qty_reserved, 0) then
        raise exception 'batch % has % units on hand, % of them reserved: it cannot change by %; cancel orders that hold them first',
            batch.batch_code, coalesce(batch.qty_on_hand, 0), coalesce(batch.qty_reserved, 0), qty_change using errcode = '23514';
    end if;

    qty_before := coalesce(batch.qty_on_hand, 0);
    qty_after := qty_before + qty_change;
    movement_id := raw_ops.move_stock($1, qty_change, 'manual_adjustment', format('%s (%s)', btrim(reason), btrim(adjusted_by)));
    perform raw_ops.log_event('BATCH', $1, 'inventory_adjusted', format('%s changed %s by %s: %s',
        btrim(adjusted_by), batch.batch_code, qty_change, btrim(reason)),
        jsonb_build_object('qty_change', qty_change, 'qty_before', qty_before, 'qty_after', qty_after,
            'adjusted_by', btrim(adjusted_by), 'reason', btrim(reason)), null, movement_id);
    if qty_change > 0 and batch.status = 'RELEASED' then
        perform raw_ops.wake_waiting_orders(batch.product_id);
    end if;
    return next;
end
$$;
revoke execute on function raw_ops.execute_manual_inventory_adjustment(uuid, integer, text, text) from public;
