-- Fulfilments that Shopify tells of: how much of each line was sent, and what the parcel's own row lacks.
--
-- A fulfilment makes no shipment and moves no stock: the dispatch file does both, and two sources of one parcel would count
-- it twice. What Shopify says was sent is not allocated again (raw_ops.order_needs).
-- Locks: none. At run time: the inbox row, an advisory lock on the Shopify order, the order, its lines, a shipment.

-- Where a parcel goes from where it stands when a scan says `wanted`: forward only. Delivered and returned are the end; from
-- an exception it may go on.
create function raw_ops.next_shipment_status(current raw_ops.shipment_status, wanted raw_ops.shipment_status)
returns raw_ops.shipment_status
language sql immutable parallel safe
as $$
    select case
        when current in ('DELIVERED', 'RETURNED') then current
        when wanted in ('DELIVERED', 'RETURNED', 'EXCEPTION') then wanted
        when current = 'EXCEPTION' then case when wanted in ('IN_TRANSIT', 'OUT_FOR_DELIVERY') then wanted else current end
        when wanted > current then wanted
        else current
    end
$$;

-- Moves a parcel forward, its order behind it. A scan proves that the parcel has left, so stock goes out with it: that is the
-- trigger of DISPATCHED, which a parcel therefore never skips. Returns where it stands.
create function raw_ops.advance_shipment(parcel uuid, wanted raw_ops.shipment_status, at timestamptz) returns raw_ops.shipment_status
language plpgsql
as $$
declare
    now_is raw_ops.shipments;
    becomes raw_ops.shipment_status;
begin
    select * into now_is from raw_ops.shipments s where s.id = parcel for update;
    becomes := raw_ops.next_shipment_status(now_is.status, wanted);
    if becomes = now_is.status then
        return becomes;
    end if;
    if now_is.status = 'CREATED' then
        update raw_ops.shipments s set status = 'DISPATCHED', dispatched_at = coalesce(s.dispatched_at, at) where s.id = parcel;
    end if;
    update raw_ops.shipments s
    set status = becomes, delivered_at = case when becomes = 'DELIVERED' then coalesce(s.delivered_at, at) else s.delivered_at end
    where s.id = parcel and s.status <> becomes;
    update raw_ops.orders o set status = 'DISPATCHED'
    where o.id = now_is.order_id and o.status in ('PAID', 'PARTIALLY_ALLOCATED', 'ALLOCATED', 'EXPORTED');
    -- An order has arrived when the last of its parcels has.
    update raw_ops.orders o set status = 'DELIVERED'
    where o.id = now_is.order_id and o.status = 'DISPATCHED' and becomes = 'DELIVERED'
      and not exists (select from raw_ops.shipments s where s.order_id = o.id and s.status <> 'DELIVERED');
    perform raw_ops.log_event('SHIPMENT', parcel, 'shipment_' || lower(becomes::text), format('The parcel is %s', becomes),
        jsonb_build_object('order_id', now_is.order_id, 'status_before', now_is.status, 'at', at), null, parcel);
    return becomes;
end
$$;

-- Shopify's word for where a parcel is, as ours; null for what says nothing.
create function raw_ops.shopify_parcel_status(word text) returns raw_ops.shipment_status
language sql immutable parallel safe
as $$
    select case word
        when 'in_transit' then 'IN_TRANSIT' when 'out_for_delivery' then 'OUT_FOR_DELIVERY' when 'delivered' then 'DELIVERED'
        when 'attempted_delivery' then 'EXCEPTION' when 'failure' then 'EXCEPTION' when 'delayed' then 'EXCEPTION'
    end::raw_ops.shipment_status
$$;

-- The newest document of each fulfilment of an order: those that were processed before, and the one in hand.
create function raw_ops.shopify_fulfillments(shopify_order bigint, in_hand uuid) returns table (inbox_id uuid, payload jsonb)
language sql stable
as $$
    select distinct on (i.raw_payload ->> 'id') i.id, i.raw_payload
    from raw_ops.webhook_inbox i
    where i.shopify_order_id = shopify_order and i.source = 'shopify' and i.topic in ('fulfillments/create', 'fulfillments/update')
      and (i.processing_status = 'success' or i.id = in_hand)
    order by i.raw_payload ->> 'id', coalesce(raw_ops.shopify_text(i.raw_payload, 'updated_at'),
        raw_ops.shopify_text(i.raw_payload, 'created_at'))::timestamptz desc nulls last, i.received_at desc
$$;

-- Writes on the lines how much of them was sent, which only grows, and on the order what that comes to. Returns how many lines
-- changed.
create function raw_ops.count_fulfilled(wanted raw_ops.orders, in_hand uuid) returns integer
language plpgsql
as $$
declare
    changed integer;
begin
    with sent as (
        select l ->> 'id' as line_id, sum((l ->> 'quantity')::integer)::integer as units
        from raw_ops.shopify_fulfillments(wanted.shopify_order_id::bigint, in_hand) f
        cross join jsonb_array_elements(raw_ops.shopify_list(f.payload, 'line_items')) l
        where f.payload ->> 'status' = 'success'
        group by 1
    )
    update raw_ops.order_items i set fulfilled_qty = least(i.qty, s.units)
    from sent s
    where i.order_id = wanted.id and i.shopify_line_item_id = s.line_id and least(i.qty, s.units) > i.fulfilled_qty;
    get diagnostics changed = row_count;
    update raw_ops.orders o set fulfillment_status = n.word
    from (
        select case when bool_and(i.fulfilled_qty >= i.qty) then 'fulfilled' else 'partial' end as word
        from raw_ops.order_items i where i.order_id = wanted.id having sum(i.fulfilled_qty) > 0
    ) n
    where o.id = wanted.id and changed > 0 and o.fulfillment_status is distinct from n.word;
    return changed;
end
$$;

-- Tells the order's parcel what the fulfilment knows of it: its number, where the one parcel without a number is the one meant,
-- and where it is. Returns the parcel; null when there is none of this number.
create function raw_ops.follow_fulfillment(wanted uuid, payload jsonb, at timestamptz) returns uuid
language plpgsql
as $$
declare
    numbers text[] := array(
        select btrim(n) from jsonb_array_elements_text(raw_ops.shopify_list(payload, 'tracking_numbers')) n where btrim(n) <> ''
        union select raw_ops.shopify_text(payload, 'tracking_number') where raw_ops.shopify_text(payload, 'tracking_number') is not null);
    parcel uuid;
    moved raw_ops.shipment_status := raw_ops.shopify_parcel_status(payload ->> 'shipment_status');
begin
    select s.id into parcel from raw_ops.shipments s
    where s.order_id = wanted and s.tracking_no = any (numbers) order by s.created_at desc limit 1;
    if parcel is null and cardinality(numbers) = 1 then
        update raw_ops.shipments s set tracking_no = numbers[1], courier = coalesce(s.courier, raw_ops.shopify_text(payload, 'tracking_company'))
        where s.order_id = wanted and s.tracking_no is null and s.status not in ('DELIVERED', 'RETURNED')
          and not exists (select from raw_ops.shipments o where o.order_id = wanted and o.id <> s.id)
          and not exists (select from raw_ops.shipments o where o.tracking_no = numbers[1] and o.status not in ('DELIVERED', 'RETURNED'))
        returning s.id into parcel;
    end if;
    if parcel is not null and moved is not null then
        perform raw_ops.advance_shipment(parcel, moved, at);
    end if;
    return parcel;
end
$$;

-- Processes the fulfilment that lies in the inbox under `inbox_id`.
--
-- Returns the order, and `recorded`; `stale` when a newer document of the fulfilment was processed; `waiting`, with nothing
-- written, when the order is not there yet. Errors: P0002 when there is no such row, class 22 and 23 when the document is no
-- sound fulfilment.
create function raw_ops.process_fulfillment_webhook_txn(inbox_id uuid) returns table (order_id uuid, outcome text)
language plpgsql
as $$
declare
    began timestamptz := clock_timestamp();  -- Elapsed work, not a date: the real clock even under a test clock.
    inbox raw_ops.webhook_inbox;
    payload jsonb;
    sent raw_ops.orders;
    at timestamptz;
begin
    select * into inbox from raw_ops.webhook_inbox w where w.id = $1 for update;
    if not found then
        raise exception 'webhook % is not in the inbox', $1 using errcode = 'P0002';
    end if;
    payload := inbox.raw_payload;
    if raw_ops.shopify_text(payload, 'id') is null or raw_ops.shopify_text(payload, 'order_id') is null then
        raise exception 'the payload is not a fulfilment: id or order_id is missing' using errcode = '22023';
    end if;
    sent := raw_ops.lock_shopify_order(payload ->> 'order_id');
    order_id := sent.id;
    if sent.id is null then
        outcome := 'waiting';
        return next;
        return;
    end if;
    update raw_ops.webhook_inbox w set shopify_order_id = sent.shopify_order_id::bigint where w.id = inbox.id;
    at := coalesce(raw_ops.shopify_text(payload, 'updated_at'), raw_ops.shopify_text(payload, 'created_at'))::timestamptz;
    outcome := 'stale';
    if exists (select from raw_ops.shopify_fulfillments(sent.shopify_order_id::bigint, inbox.id) f where f.inbox_id = inbox.id) then
        outcome := 'recorded';
        perform raw_ops.count_fulfilled(sent, inbox.id);
        perform raw_ops.follow_fulfillment(sent.id, payload, coalesce(at, inbox.received_at));
        if payload ->> 'status' = 'cancelled' then
            perform raw_ops.log_event('ORDER', sent.id, 'fulfillment_cancelled',
                format('Shopify took fulfilment %s of order %s back: see whether the parcel left', payload ->> 'name', sent.order_number_label),
                jsonb_build_object('shopify_fulfillment_id', payload ->> 'id'), 'shopify', inbox.id);
        end if;
    end if;
    perform raw_ops.settle_webhook(inbox.id, began);
    return next;
end
$$;
