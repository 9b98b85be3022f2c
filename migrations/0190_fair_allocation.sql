-- Stock goes to who has waited longest, in whatever order the jobs of waiting orders were enqueued.
--
-- A release of several products woke those who wait for each in turn, so a younger order that waits for the first of them came before
-- an older one that waits for the second; and an order that came in just before a release was ahead of all whom the release wakes.
-- Now those who wait are woken in one go, and a look leaves to older requests whose job lives what they need. A job that left something
-- looks again until they have had their turn, so nothing lies behind a request that nobody works on.
-- Locks: none but for the functions that are replaced.

-- Looks again for all who wait for one of these products, the oldest first. Returns how many.
create function raw_ops.wake_waiting_orders(products uuid[]) returns integer
language plpgsql
as $$
declare
    waiting uuid;
    woken integer := 0;
begin
    -- Before it looks who waits: an allocation that found nothing ends, or has yet to begin.
    perform raw_ops.lock_products(products);
    for waiting in
        select q.order_id
        from raw_ops.allocation_queue q
        where q.state = 'pending'
          and exists (select from raw_ops.order_needs(q.order_id) n where n.product_id = any (products))
        group by q.order_id
        order by min(q.priority), min(q.created_at), q.order_id
    loop
        perform raw_ops.enqueue_allocation(waiting);
        woken := woken + 1;
    end loop;
    return woken;
end
$$;

-- As 0043, for one product.
create or replace function raw_ops.wake_waiting_orders(product uuid) returns integer
language plpgsql
as $$
begin
    return raw_ops.wake_waiting_orders(array[product]);
end
$$;

-- As 0162, in one go.
create or replace function raw_ops.wake_for_freed(before jsonb, after jsonb) returns void
language plpgsql
as $$
declare
    freed uuid[] := array(
        select b.key::uuid from jsonb_each_text(before) b
        where b.value::numeric > coalesce((after ->> b.key)::numeric, 0));
begin
    if cardinality(freed) > 0 then
        perform raw_ops.wake_waiting_orders(freed);
    end if;
end
$$;

-- As 0153, in one go.
create or replace function raw_ops.give_up_holds(held_order uuid) returns integer
language plpgsql
as $$
declare
    products uuid[] := raw_ops.held_products(held_order);
    dropped integer := 0;
begin
    if cardinality(products) > 0 then
        perform raw_ops.lock_products(products);
        dropped := raw_ops.drop_holds(held_order);
        perform raw_ops.wake_waiting_orders(products);
    end if;
    return dropped;
end
$$;

-- As 0043, in one go.
create or replace function raw_ops.free_allocations(ended_order uuid) returns integer
language plpgsql
as $$
declare
    products uuid[] := array(select distinct f.product_id from raw_ops.open_allocations(ended_order) f);
    freed integer;
    given_back jsonb;
begin
    perform raw_ops.lock_products(products);
    perform from raw_ops.batches b
    where b.id in (select f.batch_id from raw_ops.open_allocations(ended_order) f) order by b.id for no key update;

    with gone as (
        delete from raw_ops.allocations a using raw_ops.open_allocations(ended_order) f where a.id = f.allocation_id
        returning a.batch_id, a.qty_allocated
    ),
    sums as (
        select g.batch_id, sum(g.qty_allocated) as units from gone g group by g.batch_id
    ),
    opened as (
        update raw_ops.batches b set qty_reserved = greatest(b.qty_reserved - s.units, 0) from sums s where b.id = s.batch_id
    )
    select coalesce(sum(s.units), 0), jsonb_object_agg(s.batch_id, s.units) into freed, given_back from sums s;
    if freed > 0 then
        perform raw_ops.log_event('ORDER', ended_order, 'allocation_freed', 'The order ended and gave back ' || freed || ' units',
            jsonb_build_object('units', freed, 'batches', given_back), null, null);
        perform raw_ops.wake_waiting_orders(products);
    end if;
    return freed;
end
$$;

-- Units of a product that are free.
create function raw_ops.free_units(product uuid) returns integer
language plpgsql
as $$
begin
    return (select coalesce(sum(f.units), 0) from raw_ops.free_batches(product, raw_ops.first_expiry()) f);
end
$$;

-- Units of a product that an order leaves to others: what those need whose request is older and whose job lives. An order without a
-- request is the youngest. The caller holds the product, and so sees every job that a release of it has made.
create function raw_ops.owed_to_older(wanted_order uuid, product uuid) returns integer
language plpgsql
as $$
declare
    mine record;
begin
    select coalesce(min(q.priority), 100) as priority, coalesce(min(q.created_at), 'infinity') as at into mine
    from raw_ops.allocation_queue q where q.order_id = wanted_order and q.state in ('pending', 'processing');
    return (
        select coalesce(sum(n.units), 0)
        from (
            select distinct q.order_id
            from raw_ops.allocation_queue q
            where q.state = 'pending' and q.order_id <> wanted_order
              and (q.priority, q.created_at, q.order_id) < (mine.priority, mine.at, wanted_order)
              and exists (select from engine.unique_key u where u.kind = 'allocation.allocate_order' and u.key = q.order_id::text)
        ) o
        cross join lateral raw_ops.order_needs(o.order_id) n
        where n.product_id = product
    );
end
$$;

-- Whether there is stock that an order needs and has left to older ones. Asked after its look, under the locks of that.
create function raw_ops.leaves_stock_to_older(wanted_order uuid) returns boolean
language plpgsql
as $$
begin
    return exists (
        select from raw_ops.order_needs(wanted_order) n where n.product_id is not null and raw_ops.free_units(n.product_id) > 0);
end
$$;

-- As 0043, but `most` units at most. Returns how many it got. The caller holds the locks.
create function raw_ops.reserve_stock(item uuid, product uuid, wanted integer, most integer, run uuid) returns integer
language plpgsql
as $$
declare
    got integer;
begin
    with free as (
        select f.batch_id, f.units, f.expiry_date, f.produced_at,
            sum(f.units) over (order by f.expiry_date, f.produced_at, f.batch_id) - f.units as before
        from raw_ops.free_batches(product, raw_ops.first_expiry()) f
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

drop function raw_ops.reserve_stock(uuid, uuid, integer, uuid);

-- As 0162, without what is owed to older requests; what the order held it need not leave to anybody.
create or replace function raw_ops.reserve_for_order(wanted_order uuid, run uuid) returns integer
language plpgsql
as $$
declare
    held uuid[] := raw_ops.held_products(wanted_order);
    products uuid[] := array(select n.product_id from raw_ops.order_needs(wanted_order) n where n.product_id is not null
                             union select unnest(held));
    before jsonb;
    need record;
    product uuid;
    most integer;
    given integer;
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
        select * from raw_ops.order_needs(wanted_order) n where n.product_id is not null order by n.product_id, n.order_item_id
    loop
        if product is distinct from need.product_id then
            product := need.product_id;
            most := raw_ops.free_units(product);
            if most > 0 then
                most := least(most, greatest(most - raw_ops.owed_to_older(wanted_order, product),
                    (before ->> product::text)::integer, 0));
            end if;
        end if;
        given := raw_ops.reserve_stock(need.order_item_id, product, need.units, most, run);
        most := most - given;
        got := got + given;
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
