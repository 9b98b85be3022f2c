-- Allocation: the batches that an order is packed from, those that expire first first.
--
-- allocate_order_to_batches(order_id) gives an order what is free and it still needs, and leaves the rest waiting in
-- allocation_queue. Of an allocation, remaining_qty is what its line lacks after it, is_partial says that this is
-- something, and allocation_group_id names the run that made it.
-- Locks: none but for the functions that are replaced. At run time: the order, then its products, then their batches.

-- Reserves up to `wanted` units of a product for a line. Returns how many it got. The caller holds the locks.
create function raw_ops.reserve_stock(item uuid, product uuid, wanted integer, run uuid) returns integer
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
        select f.batch_id, least(f.units, wanted - f.before) as units, f.before + least(f.units, wanted - f.before) as sum
        from free f where f.before < wanted
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

-- Gives every line of an order what is free. Returns how many units that are.
create function raw_ops.reserve_for_order(wanted_order uuid, run uuid) returns integer
language plpgsql
as $$
declare
    products uuid[] := array(select distinct n.product_id from raw_ops.order_needs(wanted_order) n where n.product_id is not null);
    need record;
    got integer := 0;
begin
    perform raw_ops.lock_products(products);
    perform from raw_ops.batches b
    where b.product_id = any (products) and b.status = 'RELEASED' and b.qty_on_hand > coalesce(b.qty_reserved, 0)
    order by b.id for no key update;

    for need in
        select * from raw_ops.order_needs(wanted_order) n where n.product_id is not null order by n.order_item_id
    loop
        got := got + raw_ops.reserve_stock(need.order_item_id, need.product_id, need.units, run);
    end loop;
    return got;
end
$$;

-- What an order waits for, in words.
create function raw_ops.missing_stock(wanted_order uuid) returns text
language plpgsql stable  -- As sql it would be planned anew at each call, which takes longer than it runs.
as $$
begin
    return (
        select 'waits for ' || string_agg(m.units || ' of ' || m.sku || m.unknown, ', ' order by m.sku)
        from (
            select n.sku, sum(n.units) as units, case when n.product_id is null then ' (no product has this SKU)' else '' end as unknown
            from raw_ops.order_needs(wanted_order) n group by n.sku, n.product_id
        ) m
    );
end
$$;

-- Keeps the requests of an order true: done where nothing is missing, else waiting, with the reason.
create function raw_ops.settle_allocation_queue(wanted_order uuid, missing text) returns void
language plpgsql
as $$
begin
    update raw_ops.allocation_queue q
    set attempts = coalesce(q.attempts, 0) + 1, started_at = coalesce(q.started_at, engine.now()), last_error = missing
    where q.order_id = wanted_order and q.state in ('pending', 'processing');
    if not found and missing is not null then
        insert into raw_ops.allocation_queue (order_id, created_at, started_at, attempts, last_error)
        values (wanted_order, engine.now(), engine.now(), 1, missing);
    end if;
    update raw_ops.allocation_queue q set state = 'completed', completed_at = engine.now(), last_error = null
    where q.order_id = wanted_order and q.state in ('pending', 'processing')
      and (missing is null or (q.order_item_id is not null and not exists (
          select from raw_ops.order_needs(wanted_order) n where n.order_item_id = q.order_item_id)));
end
$$;

-- Moves an order to the status that an outcome stands for.
create function raw_ops.set_allocation_status(wanted_order uuid, outcome text) returns void
language plpgsql
as $$
declare
    wanted raw_ops.order_status :=
        case outcome when 'allocated' then 'ALLOCATED' when 'partial' then 'PARTIALLY_ALLOCATED' else 'PAID' end;
begin
    update raw_ops.orders o set status = wanted where o.id = wanted_order and o.status <> wanted;
end
$$;

-- Says in the log what one look for stock came to, where it is news.
create function raw_ops.log_allocation(wanted_order uuid, outcome text, got integer, missing text, run uuid) returns void
language plpgsql
as $$
begin
    if outcome = 'waiting' then
        perform raw_ops.log_order_once(wanted_order, 'allocation_warning', 'The order ' || missing);
    elsif got > 0 then
        perform raw_ops.log_event('ORDER', wanted_order,
            case outcome when 'allocated' then 'allocation_success' else 'allocation_partial' end,
            'The order got ' || got || ' units' || coalesce(' and ' || missing, ''),
            jsonb_build_object('allocation_group_id', run, 'units', got), null, null);
    end if;
end
$$;

-- Where an order stands with its stock: `allocated`, `partial`, `waiting`; `no_lines` when no line has come yet; `closed`
-- when it takes no stock, because it is unpaid, on its way or ended.
create function raw_ops.allocation_outcome(wanted_order uuid, now_status raw_ops.order_status) returns text
language plpgsql stable  -- As missing_stock.
as $$
begin
    if now_status not in ('PAID', 'PARTIALLY_ALLOCATED', 'ALLOCATED') then
        return 'closed';
    elsif not exists (select from raw_ops.order_items i where i.order_id = wanted_order) then
        return 'no_lines';
    elsif not exists (select from raw_ops.order_needs(wanted_order)) then
        return 'allocated';
    elsif exists (select from raw_ops.allocations a join raw_ops.order_items i on i.id = a.order_item_id
                  where i.order_id = wanted_order) then
        return 'partial';
    end if;
    return 'waiting';
end
$$;

-- Allocates what an order needs and does not have yet.
--
-- outcome is one of allocation_outcome's words, after the fact; units_allocated is what this call gave. Called again it
-- gives only what is missing. Of an order that is closed, requests are taken back unless it may yet be paid; one without
-- lines is left alone.
-- Errors: 22023 when there is no such order.
create function raw_ops.allocate_order_to_batches(order_id uuid)
returns table (outcome text, allocation_group_id uuid, units_allocated integer, units_missing integer)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    run uuid := gen_random_uuid();
    now_status raw_ops.order_status;
    missing text;
begin
    select o.status into now_status from raw_ops.orders o where o.id = $1 for no key update;
    if not found then
        raise exception 'there is no order %', $1 using errcode = '22023';
    end if;
    outcome := raw_ops.allocation_outcome($1, now_status);
    units_allocated := 0;
    units_missing := 0;
    if outcome = 'closed' and now_status <> 'PENDING' then
        update raw_ops.allocation_queue q set state = 'cancelled', completed_at = engine.now(), last_error = 'the order is ' || now_status
        where q.order_id = $1 and q.state in ('pending', 'processing');
    elsif outcome not in ('closed', 'no_lines') then
        units_allocated := raw_ops.reserve_for_order($1, run);
        outcome := raw_ops.allocation_outcome($1, now_status);
        missing := raw_ops.missing_stock($1);
        allocation_group_id := case when units_allocated > 0 then run end;
        select coalesce(sum(n.units), 0) into units_missing from raw_ops.order_needs($1) n;
        perform raw_ops.set_allocation_status($1, outcome);
        perform raw_ops.settle_allocation_queue($1, missing);
        perform raw_ops.log_allocation($1, outcome, units_allocated, missing, run);
    end if;
    return next;
end
$$;
revoke execute on function raw_ops.allocate_order_to_batches(uuid) from public;

-- The allocations of an order whose stock has not left.
create function raw_ops.open_allocations(wanted_order uuid)
returns table (allocation_id uuid, batch_id uuid, product_id uuid, units numeric)
language sql stable
as $$
    select a.id, a.batch_id, b.product_id, a.qty_allocated
    from raw_ops.order_items i
    join raw_ops.allocations a on a.order_item_id = i.id
    join raw_ops.batches b on b.id = a.batch_id
    where i.order_id = wanted_order
      and not exists (select from raw_ops.stock_dispatches d where d.allocation_id = a.id)
$$;

-- Gives back what an order that ended had reserved and was not sent, and looks again for those who wait for it.
-- Returns how many units.
create function raw_ops.free_allocations(ended_order uuid) returns integer
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
        perform raw_ops.wake_waiting_orders(p.id) from unnest(products) p (id);
    end if;
    return freed;
end
$$;

-- Asks for stock once an order is paid, and takes the request back when it ended.
create or replace function raw_ops.request_allocation(paid_order uuid, new_status raw_ops.order_status) returns void
language plpgsql
as $$
begin
    if new_status in ('CANCELLED', 'REFUNDED') then
        update raw_ops.allocation_queue q set state = 'cancelled', completed_at = engine.now()
        where q.order_id = paid_order and q.state = 'pending';
        perform raw_ops.free_allocations(paid_order);
    elsif new_status = 'PAID' then
        insert into raw_ops.allocation_queue (order_id, created_at)
        select paid_order, engine.now()
        where not exists (select from raw_ops.allocation_queue q where q.order_id = paid_order);
        -- The new request is a job by its own trigger. One that waits already looks again: the lines may be others now.
        if not found and exists (select from raw_ops.allocation_queue q where q.order_id = paid_order and q.state = 'pending') then
            perform raw_ops.enqueue_allocation(paid_order);
        end if;
    end if;
end
$$;

-- Whoever inserts the order need not know the queue.
alter function raw_ops.allocate_order_to_batches() security definer set search_path = pg_catalog, pg_temp;
revoke execute on function raw_ops.allocate_order_to_batches() from public;
