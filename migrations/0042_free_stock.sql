-- What stock is free, what orders still need, and who is told when there is more.
--
-- A unit is free when it is on hand, not reserved, in a released batch that is not past its date. A part of a unit
-- is never packed.
-- Whoever changes what is free of a product holds the product's row until its commit, and locks the rows of several
-- products in the order of their ids, then those of batches in the order of theirs. So no two can deadlock, and an
-- order that looks for stock while stock arrives is either seen waiting by who brings it, or sees it.
-- Locks: access exclusive on batches while the check is added, which reads the table.

alter table raw_ops.batches add constraint batches_never_oversold check (qty_reserved <= qty_on_hand);

create function raw_ops.lock_products(products uuid[]) returns void
language plpgsql
as $$
begin
    perform from raw_ops.products p where p.id = any (products) order by p.id for no key update;
end
$$;

-- The first expiry date that is packed today.
create function raw_ops.first_expiry() returns date
language sql volatile
as $$ select raw_ops.today() + raw_ops.threshold('allocation.min_shelf_days')::integer $$;

-- The batches a product may be packed from, and how many units are free in each. A batch without an expiry date is
-- packed last.
create function raw_ops.free_batches(product uuid, first_expiry date)
returns table (batch_id uuid, expiry_date date, produced_at date, units integer)
language sql stable
as $$
    select b.id, b.expiry_date, b.produced_at, floor(b.qty_on_hand - coalesce(b.qty_reserved, 0))::integer
    from raw_ops.batches b
    where b.product_id = product and b.status = 'RELEASED' and b.qty_on_hand - coalesce(b.qty_reserved, 0) >= 1
      and (b.expiry_date is null or b.expiry_date >= first_expiry)
$$;

-- The lines of an order that still need stock, and how many units: what is neither sent nor held for it. What Shopify
-- says was sent counts also when no shipment of ours took it.
--
-- A line that names neither a product nor a SKU (a tip, a fee) needs none. One whose SKU no product has needs what
-- nobody can give yet: the order waits, and the allocator says so.
create function raw_ops.order_needs(wanted_order uuid)
returns table (order_item_id uuid, product_id uuid, sku text, units integer)
language sql stable
as $$
    select i.id, coalesce(i.product_id, (select p.id from raw_ops.products p where p.sku = i.sku)),
        coalesce(nullif(i.sku, ''), (select p.sku from raw_ops.products p where p.id = i.product_id)),
        i.qty - greatest(i.fulfilled_qty, a.sent) - a.held
    from raw_ops.order_items i
    cross join lateral (
        select coalesce(sum(s.qty_allocated) filter (where d.allocation_id is not null), 0)::integer as sent,
            coalesce(sum(s.qty_allocated) filter (where d.allocation_id is null), 0)::integer as held
        from raw_ops.allocations s
        left join raw_ops.stock_dispatches d on d.allocation_id = s.id
        where s.order_item_id = i.id
    ) a
    where i.order_id = wanted_order and (i.product_id is not null or nullif(i.sku, '') is not null)
      and i.qty > greatest(i.fulfilled_qty, a.sent) + a.held
$$;

-- Looks again for stock for an order that waits for it.
create function raw_ops.enqueue_allocation(waiting_order uuid) returns void
language plpgsql
as $$
begin
    perform engine.enqueue('allocation.allocate_order', jsonb_build_object('order_id', waiting_order),
        queue => 'allocation', unique_key => waiting_order::text)
    where not raw_ops.is_seeding();
end
$$;

-- Looks again for every order that waits for this product, the oldest first. Returns how many there are.
create function raw_ops.wake_waiting_orders(product uuid) returns integer
language plpgsql
as $$
declare
    waiting uuid;
    woken integer := 0;
begin
    -- Before it looks who waits: an allocation that found nothing ends, or has yet to begin.
    perform raw_ops.lock_products(array[product]);
    for waiting in
        select q.order_id
        from raw_ops.allocation_queue q
        where q.state = 'pending'
          and exists (select from raw_ops.order_needs(q.order_id) n where n.product_id = product)
        group by q.order_id
        order by min(q.priority), min(q.created_at), q.order_id
    loop
        perform raw_ops.enqueue_allocation(waiting);
        woken := woken + 1;
    end loop;
    return woken;
end
$$;
