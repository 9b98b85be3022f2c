-- Whoever waits for a product is woken when a hold of that product shrinks, whatever becomes of the order's other products: units
-- that another product gained hid those that this one gave up.
--
-- Locks: none but for the functions that are replaced.

-- Units that an order holds, by product.
create function raw_ops.held_units(held_order uuid) returns jsonb
language plpgsql stable  -- As sql it would be planned anew at each call, which takes longer than it runs.
as $$
begin
    return (
        select coalesce(jsonb_object_agg(h.product_id, h.units), '{}')
        from (
            select b.product_id, sum(h.units) as units
            from raw_ops.soft_reservations h join raw_ops.batches b on b.id = h.batch_id
            where h.order_id = held_order and b.product_id is not null
            group by b.product_id
        ) h);
end
$$;

-- Looks again for those who wait for a product of which an order has fewer units now than before; both by product. The caller
-- holds the products.
create function raw_ops.wake_for_freed(before jsonb, after jsonb) returns void
language plpgsql
as $$
begin
    perform raw_ops.wake_waiting_orders(b.key::uuid)
    from jsonb_each_text(before) b
    where b.value::numeric > coalesce((after ->> b.key)::numeric, 0)
    order by b.key::uuid;
end
$$;

-- As 0153, but each product is looked at by itself.
create or replace function raw_ops.hold_stock(placed_order uuid) returns integer
language plpgsql
as $$
declare
    until timestamptz;
    products uuid[];
    before jsonb;
    held integer := 0;
begin
    select least(o.ordered_at, engine.now()) + make_interval(mins => raw_ops.threshold('allocation.hold_minutes')::integer) into until
    from raw_ops.orders o where o.id = placed_order and o.status = 'PENDING' for no key update;
    if not found then
        return 0;
    end if;
    products := array(select n.product_id from raw_ops.order_needs(placed_order) n where n.product_id is not null
                      union select unnest(raw_ops.held_products(placed_order)));
    perform raw_ops.lock_products(products);
    before := raw_ops.held_units(placed_order);
    perform raw_ops.drop_holds(placed_order);
    if until > engine.now() then
        select coalesce(sum(raw_ops.hold_units(placed_order, n.product_id, n.units, until)), 0) into held
        from (select n.product_id, sum(n.units) as units from raw_ops.order_needs(placed_order) n
              where n.product_id is not null group by n.product_id order by n.product_id) n;
    end if;
    perform raw_ops.wake_for_freed(before, raw_ops.held_units(placed_order));
    return held;
end
$$;

-- As 0153; held units that were not reserved are others' now.
create or replace function raw_ops.reserve_for_order(wanted_order uuid, run uuid) returns integer
language plpgsql
as $$
declare
    held uuid[] := raw_ops.held_products(wanted_order);
    products uuid[] := array(select n.product_id from raw_ops.order_needs(wanted_order) n where n.product_id is not null
                             union select unnest(held));
    before jsonb;
    need record;
    got integer := 0;
begin
    perform raw_ops.lock_products(products);
    perform from raw_ops.batches b
    where b.product_id = any (products) and b.status = 'RELEASED' and b.qty_on_hand > coalesce(b.qty_reserved, 0)
    order by b.id for no key update;
    if cardinality(held) > 0 then
        before := raw_ops.held_units(wanted_order);
        perform raw_ops.drop_holds(wanted_order);
    end if;

    for need in
        select * from raw_ops.order_needs(wanted_order) n where n.product_id is not null order by n.order_item_id
    loop
        got := got + raw_ops.reserve_stock(need.order_item_id, need.product_id, need.units, run);
    end loop;
    if before is not null then
        perform raw_ops.wake_for_freed(before, (
            select coalesce(jsonb_object_agg(r.product_id, r.units), '{}')
            from (
                select b.product_id, sum(a.qty_allocated) as units
                from raw_ops.order_items i
                join raw_ops.allocations a on a.order_item_id = i.id
                join raw_ops.batches b on b.id = a.batch_id
                where i.order_id = wanted_order and a.allocation_group_id = run and b.product_id is not null
                group by b.product_id
            ) r));
    end if;
    return got;
end
$$;
