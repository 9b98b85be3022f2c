-- 1. A document of an order from before a refund, processed after it, makes no line grow back: what is wanted of a line is what Shopify's
--    refunds leave of it. Before the stock was reserved it took the units of the document.
-- 2. An order that waits for stock and of which a refund leaves nothing waits no more. It stayed in the queue, and alarmed, for ever.
-- 3. An attempt at a cycle that was paid already is a payment of it. The subscription stayed `failing` when no cycle before was known.
-- 4. A temperature log that began more than a day before its parcel left finds it; it found none, or an older one of the same number.
-- Locks: none that lasts. At run time: as before.

drop function raw_ops.shopify_lines_left(jsonb);

create function raw_ops.shopify_lines_left(payload jsonb, ended boolean default false)
returns table (line jsonb, line_id text, qty integer, fulfilled integer)
language sql stable
as $$
    select l.line, l.line_id, n.qty, l.fulfilled
    from raw_ops.shopify_live_lines(payload, ended) l
    cross join lateral (
        select case when ended then l.qty else greatest(l.fulfilled, least(l.qty, (l.line ->> 'quantity')::integer
            - raw_ops.cancelled_units((payload ->> 'id')::bigint, l.line_id, null))) end as qty
    ) n
    where n.qty > 0
$$;
comment on function raw_ops.shopify_lines_left(jsonb, boolean) is
    'The lines of an order document without the units that refunds cancelled, whichever came first; all of them once the order has ended.';
revoke all on function raw_ops.shopify_lines_left(jsonb, boolean) from public;

create or replace function raw_ops.save_shopify_items(payload jsonb, saved_order uuid, ended boolean) returns void
language plpgsql
as $$
declare
    pounds boolean := upper(payload ->> 'currency') = 'GBP';
    taken text;
begin
    insert into raw_ops.order_items as i (
        order_id, product_id, qty, quantity, fulfilled_qty, unit_price_ex_vat, unit_price_gbp,
        shopify_line_item_id, shopify_product_id, sku, product_name, pet_number, pet_name, daily_grams, life_stage
    )
    select
        saved_order, p.id, l.qty, l.qty, l.fulfilled, u.price, case when pounds then u.price end,
        l.line_id, l.line ->> 'product_id', raw_ops.shopify_text(l.line, 'sku'),
        coalesce(raw_ops.shopify_text(l.line, 'title'), raw_ops.shopify_text(l.line, 'name')),
        raw_ops.whole_number(raw_ops.shopify_named_value(l.line -> 'properties', 'pet_number')),
        raw_ops.shopify_named_value(l.line -> 'properties', 'pet_name'),
        raw_ops.whole_number(raw_ops.shopify_named_value(l.line -> 'properties', 'daily_grams')),
        raw_ops.shopify_named_value(l.line -> 'properties', 'life_stage')
    from raw_ops.shopify_lines_left(payload, ended) l
    cross join raw_ops.shopify_unit_price_ex_vat(l.line, payload) u (price)
    left join raw_ops.products p on p.sku = raw_ops.shopify_text(l.line, 'sku')
    order by l.line_id
    on conflict (shopify_line_item_id) do update set
        product_id = coalesce(excluded.product_id, i.product_id),
        qty = excluded.qty,
        quantity = excluded.quantity,
        fulfilled_qty = greatest(i.fulfilled_qty, excluded.fulfilled_qty),
        unit_price_ex_vat = excluded.unit_price_ex_vat,
        unit_price_gbp = excluded.unit_price_gbp,
        shopify_product_id = excluded.shopify_product_id,
        sku = excluded.sku,
        product_name = excluded.product_name,
        pet_number = coalesce(excluded.pet_number, i.pet_number),
        pet_name = coalesce(excluded.pet_name, i.pet_name),
        daily_grams = coalesce(excluded.daily_grams, i.daily_grams),
        life_stage = coalesce(excluded.life_stage, i.life_stage)
    where i.order_id = excluded.order_id;

    select l.line_id into taken
    from raw_ops.shopify_live_lines(payload, ended) l
    join raw_ops.order_items i on i.shopify_line_item_id = l.line_id and i.order_id <> saved_order
    limit 1;
    if taken is not null then
        raise exception 'line item % belongs to another order', taken using errcode = '23514';
    end if;

    delete from raw_ops.order_items i
    where i.order_id = saved_order and i.shopify_line_item_id is not null and i.fulfilled_qty = 0
      and not exists (
          select from raw_ops.shopify_lines_left(payload, ended) l where l.line_id = i.shopify_line_item_id
      );
end
$$;

create or replace function raw_ops.allocation_outcome(wanted_order uuid, now_status raw_ops.order_status) returns text
language plpgsql stable
as $$
begin
    if now_status not in ('PAID', 'PARTIALLY_ALLOCATED', 'ALLOCATED') then
        return 'closed';
    elsif not exists (select from raw_ops.order_items i where i.order_id = wanted_order) then
        -- Of one whose request was cancelled a refund left nothing; of another the lines may be to come.
        return case when exists (select from raw_ops.allocation_queue q where q.order_id = wanted_order and q.state = 'cancelled')
            then 'closed' else 'no_lines' end;
    elsif not exists (select from raw_ops.order_needs(wanted_order)) then
        return 'allocated';
    elsif exists (select from raw_ops.allocations a join raw_ops.order_items i on i.id = a.order_item_id
                  where i.order_id = wanted_order) then
        return 'partial';
    end if;
    return 'waiting';
end
$$;

create or replace function raw_ops.shrink_refunded_lines(payload jsonb, refunded raw_ops.orders, inbox_id uuid) returns integer
language plpgsql
as $$
declare
    line record;
    freed integer := 0;
begin
    for line in
        select i.id, i.qty, n.sent, greatest(n.sent, least(i.qty, coalesce(c.sold, i.qty)
            - raw_ops.cancelled_units(refunded.shopify_order_id::bigint, c.line_id, inbox_id))) as left_over
        from raw_ops.shopify_cancelled_lines(payload) c
        join raw_ops.order_items i on i.shopify_line_item_id = c.line_id and i.order_id = refunded.id
        cross join lateral (
            select greatest(i.fulfilled_qty, coalesce(sum(a.qty_allocated), 0))::integer as sent
            from raw_ops.allocations a join raw_ops.stock_dispatches d on d.allocation_id = a.id
            where a.order_item_id = i.id
        ) n
        order by i.id
    loop
        continue when line.left_over >= line.qty;
        freed := freed + raw_ops.free_line(line.id, refunded.id, line.left_over - line.sent);
        if line.left_over > 0 then
            update raw_ops.order_items i set qty = line.left_over, quantity = line.left_over where i.id = line.id;
        else
            delete from raw_ops.order_items i where i.id = line.id;
        end if;
    end loop;
    if not exists (select from raw_ops.order_items i where i.order_id = refunded.id) then
        update raw_ops.allocation_queue q set state = 'cancelled', completed_at = engine.now(), last_error = 'a refund left nothing to send'
        where q.order_id = refunded.id and q.state = 'pending';
    -- What is left may be complete now: the allocator looks, and says so.
    elsif refunded.status in ('PAID', 'PARTIALLY_ALLOCATED') then
        perform raw_ops.enqueue_allocation(refunded.id)
        where exists (select from raw_ops.allocation_queue q where q.order_id = refunded.id and q.state = 'pending');
    end if;
    return freed;
end
$$;

create or replace function raw_ops.request_allocation(paid_order uuid, new_status raw_ops.order_status) returns void
language plpgsql
as $$
begin
    if new_status in ('CANCELLED', 'REFUNDED') then
        update raw_ops.allocation_queue q set state = 'cancelled', completed_at = engine.now()
        where q.order_id = paid_order and q.state = 'pending';
        perform raw_ops.free_allocations(paid_order);
        perform raw_ops.give_up_holds(paid_order);
    elsif new_status = 'PAID' then
        -- A request is cancelled when nothing is left to send; lines may be added again.
        insert into raw_ops.allocation_queue (order_id, created_at)
        select paid_order, engine.now()
        where not exists (select from raw_ops.allocation_queue q where q.order_id = paid_order and (
            q.state <> 'cancelled' or not exists (select from raw_ops.order_items i where i.order_id = paid_order)));
        -- The new request is a job by its own trigger. One that waits already looks again: the lines may be others now.
        if not found and exists (select from raw_ops.allocation_queue q where q.order_id = paid_order and q.state = 'pending') then
            perform raw_ops.enqueue_allocation(paid_order);
        end if;
    end if;
end
$$;

create or replace function raw_ops.settle_subscription_payment(sub uuid) returns void
language plpgsql
as $$
declare
    newest raw_ops.billing_attempts;
begin
    select * into newest from raw_ops.billing_attempts b
    where b.subscription_id = sub and b.status in ('success', 'failed')
    order by b.scheduled_at desc, b.id limit 1;
    if newest.status = 'success' or newest.error_code = 'INVOICE_ALREADY_PAID' then
        update raw_ops.subscriptions s
        set payment_status = 'healthy', failed_payment_count = 0, dunning_started_at = null, last_error_message = null,
            dunning_email_day0_sent = false, dunning_email_day3_sent = false, dunning_email_day7_sent = false, dunning_email_day10_sent = false
        where s.id = sub and (s.payment_status <> 'healthy' or s.dunning_started_at is not null);
    elsif newest.status = 'failed' then
        update raw_ops.subscriptions s
        set payment_status = case when s.status = 'active' then 'failing' else 'failed' end,
            failed_payment_count = newest.retry_count + 1, last_failed_at = greatest(s.last_failed_at, newest.attempted_at, newest.scheduled_at),
            dunning_started_at = coalesce(
                (select min(e.event_at) from raw_ops.subscription_events e
                 where e.subscription_id = sub and e.event_type = 'billing_attempt.failed' and e.payload ->> 'attempt' = newest.seal_billing_attempt_id),
                s.dunning_started_at, newest.attempted_at, newest.scheduled_at), last_error_message = newest.error_message
        where s.id = sub;
    end if;
end
$$;

drop function raw_ops.parcel_of_log(uuid, timestamptz);

-- Programs of before ask with two arguments.
create function raw_ops.parcel_of_log(inbox_id uuid, first_read timestamptz, last_read timestamptz default null)
returns table (shipment_id uuid, left_at timestamptz, arrived_at timestamptz, limit_c numeric, tolerated_minutes integer)
language plpgsql
as $$
declare
    about jsonb := (select w.raw_payload from raw_ops.webhook_inbox w where w.id = inbox_id);
    number text := about ->> 'tracking_no';
    at_start uuid := raw_ops.parcel_of(number, first_read);
    parcel raw_ops.shipments;
begin
    select * into parcel from raw_ops.shipments s
    where s.id = coalesce(
        (about ->> 'shipment_id')::uuid,
        (select p.id from raw_ops.shipments p where p.id = at_start and (p.delivered_at is null or p.delivered_at >= first_read)),
        -- The logger lay switched on before the parcel was packed.
        (select p.id from raw_ops.shipments p
         where p.tracking_no = number and p.created_at > first_read and p.created_at <= coalesce(last_read, first_read) + interval '1 day'
         order by p.created_at limit 1),
        at_start) for update;
    return query select parcel.id, parcel.dispatched_at, parcel.delivered_at, raw_ops.threshold('cold_chain.limit_c'),
        raw_ops.threshold('cold_chain.tolerated_minutes')::integer;
end
$$;
comment on function raw_ops.parcel_of_log(uuid, timestamptz, timestamptz) is
    'The parcel that had the number while a temperature log was written, and by which rules its way is judged.';
revoke all on function raw_ops.parcel_of_log(uuid, timestamptz, timestamptz) from public;
