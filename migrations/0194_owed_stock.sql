-- A look leaves stock only to older requests whose turn is near: one whose job waits long, for its next try or since somebody holds its
-- order, would keep the stock free, and all younger ones looking at it. And who calls raw_ops.allocate_order_to_batches without a job
-- is looked at again, too. A scan that nobody can read says nothing about an arrival, and stops no other.
-- Locks: none but for the functions that are replaced.

-- As raw_ops.courier_time; null where that is no time.
create function raw_ops.readable_courier_time(written text) returns timestamp with time zone
language plpgsql stable
as $$
begin
    return raw_ops.courier_time(written);
exception when data_exception then
    return null;
end
$$;

-- As 0192, of scans that can be read.
create or replace function raw_ops.has_arrived_unread(parcel raw_ops.shipments) returns boolean
language sql stable
as $$
    select exists (
        select from raw_ops.webhook_inbox w
        where w.source = 'courier' and w.processing_status in ('pending', 'processing', 'retrying', 'failed')
          and w.raw_payload ->> 'tracking_no' = parcel.tracking_no
          and case when raw_ops.courier_word(coalesce(raw_ops.shopify_text(w.raw_payload, 'carrier'), 'DPD'),
                  coalesce(raw_ops.shopify_text(w.raw_payload, 'event_code'), 'NONE')) in ('DELIVERED', 'RETURNED')
              -- A scan of another parcel that had the number before, as parcel_of knows it.
              then raw_ops.readable_courier_time(w.raw_payload ->> 'event_time') between parcel.created_at - interval '1 day'
                  and parcel.created_at + interval '120 days' end
    )
$$;

-- As 0190, to those whose turn comes within seconds.
create or replace function raw_ops.owed_to_older(wanted_order uuid, product uuid) returns integer
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
              and exists (
                  select from engine.unique_key u
                  where u.kind = 'allocation.allocate_order' and u.key = q.order_id::text
                    and not exists (
                        select from engine.scheduled s
                        where s.job_id = u.job_id and s.run_at > (select engine.now()) + interval '5 seconds'))
        ) o
        cross join lateral raw_ops.order_needs(o.order_id) n
        where n.product_id = product
    );
end
$$;

-- As 0043, and looked at again where it leaves stock to older ones.
create or replace function raw_ops.allocate_order_to_batches(order_id uuid) returns TABLE(outcome text, allocation_group_id uuid, units_allocated integer, units_missing integer)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
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
        -- Whoever asked: it looks again when those have had their turn. A job that asks has a key, and so makes no second one.
        if units_missing > 0 and raw_ops.leaves_stock_to_older($1) then
            perform raw_ops.enqueue_allocation($1);
        end if;
    end if;
    return next;
end
$$;
