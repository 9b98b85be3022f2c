-- Scans of parcels, in the form of our own that an adapter of each courier sends, and retries for every inbox.
--
-- A scan lies in the inbox of webhooks with the source `courier`. It moves its parcel forward only, and a scan that is older
-- than another moves it only where that is the end. Codes are read by courier_event_mapping; a code that nobody has mapped is
-- stored as UNKNOWN, told to people once, and never to a customer.
-- Locks: share row exclusive on raw_ops.dead_letter_queue, for a moment. At run time: the inbox row, the parcel's row, its
-- order, products, batches.

-- As 0140, with scans.
create or replace function raw_ops.webhook_kind(source text, topic text) returns text
language sql immutable parallel safe
as $$
    select case
        when source = 'courier' then 'couriers.record_event'
        when source <> 'shopify' then null
        when topic like 'orders/%' then 'orders.process_order'
        when topic = 'refunds/create' then 'orders.process_refund'
        when topic in ('fulfillments/create', 'fulfillments/update') then 'orders.process_fulfillment'
        when topic in ('customers/create', 'customers/update') then 'customers.process_customer'
        when topic in ('customers/data_request', 'customers/redact', 'shop/redact') then 'customers.handle_privacy_request'
    end
$$;

create or replace trigger mark_webhook_failed
after insert on raw_ops.dead_letter_queue
for each row when (new.topic in ('orders.process_order', 'orders.process_refund', 'orders.process_fulfillment',
    'customers.process_customer', 'customers.handle_privacy_request', 'couriers.record_event'))
execute function raw_ops.follow_dead_letter($update$
    update raw_ops.webhook_inbox
    set processing_status = 'failed', processing_attempts = processing_attempts + coalesce(($1).attempts, 1),
        last_error = ($1).error_message, last_error_at = engine.now(), error_category = ($1).category, updated_at = engine.now()
    where id = (($1).payload ->> 'inbox_id')::uuid and processing_status <> 'success'
$update$);

-- Stores a verified scan: `enqueued`, or `duplicate` when its bytes are known. `payload` is null in jsonb where the body is no
-- document, with the reason in `unfit`.
create function raw_ops.store_courier_event(payload text, headers text, body bytea, digest bytea, unfit text) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into raw_ops.webhook_inbox
        (source, topic, webhook_id, raw_headers, raw_payload, raw_body, body_sha256, last_error, hmac_verified, received_at, created_at, updated_at)
    values ('courier', 'tracking/event', 'sha256:' || encode(digest, 'hex'), headers::jsonb, payload::jsonb, body, digest, unfit, true,
            engine.now(), engine.now(), engine.now())
    on conflict (source, shop, webhook_id) do nothing;
    return case when found then 'enqueued' else 'duplicate' end;
end
$$;
revoke execute on function raw_ops.store_courier_event(text, text, bytea, bytea, text) from public;

-- The time of a scan: without a zone it is London's, by the clock of whoever scanned.
create function raw_ops.courier_time(written text) returns timestamptz
language sql stable parallel safe
as $$
    select case
        when written ~ '(Z|[+-][0-9]{2}:?[0-9]{2})$' then written::timestamptz
        else written::timestamp at time zone 'Europe/London'
    end
$$;

-- Our word for a courier's code: as people mapped it, else what DPD's own page is known to mean; null when nobody knows.
create function raw_ops.courier_word(courier text, code text) returns text
language sql stable
as $$
    select coalesce(
        (select m.event_type from raw_ops.courier_event_mapping m where upper(m.courier_name) = upper(courier) and m.event_code = code),
        case when upper(courier) = 'DPD' then case code when '000' then 'PRE_ADVICE' when '009' then 'IN_TRANSIT' when '004' then 'AT_HUB'
            when '015' then 'OUT_FOR_DELIVERY' when '001' then 'DELIVERED' end end)
$$;

-- Where a parcel is by our word; null for what says nothing.
create function raw_ops.parcel_status(word text) returns raw_ops.shipment_status
language sql immutable parallel safe
as $$
    select case word
        when 'IN_TRANSIT' then 'IN_TRANSIT' when 'AT_HUB' then 'IN_TRANSIT' when 'OUT_FOR_DELIVERY' then 'OUT_FOR_DELIVERY'
        when 'DELIVERED' then 'DELIVERED' when 'EXCEPTION' then 'EXCEPTION' when 'RETURNED' then 'RETURNED'
    end::raw_ops.shipment_status
$$;

-- The parcel that a scan of this time means: of those that had the number, which couriers use again within months, the newest
-- that was made by then.
create function raw_ops.parcel_of(number text, at timestamptz) returns uuid
language sql stable
as $$
    select s.id from raw_ops.shipments s
    where s.tracking_no = number and s.created_at between at - interval '120 days' and at + interval '1 day'
    order by s.created_at desc limit 1
$$;

-- Says once that nobody has mapped a code.
create function raw_ops.note_unknown_code(courier text, code text, inbox_id uuid) returns void
language plpgsql
as $$
begin
    if exists (select from raw_ops.ops_events e where e.kind = 'COURIER_UNKNOWN_CODE' and e.meta ->> 'courier' = courier and e.meta ->> 'code' = code) then
        return;
    end if;
    perform raw_ops.log_event('WEBHOOK', inbox_id, 'COURIER_UNKNOWN_CODE', format('%s sent code %s, which nobody has mapped', courier, code),
        jsonb_build_object('courier', courier, 'code', code), 'courier', inbox_id);
    perform from raw_ops.raise_alert('warning', 'A courier''s code that nobody has mapped',
        format('%s sent code %s. Say in courier_event_mapping what it means.', courier, code),
        key => 'courier code ' || courier || ' ' || code, source_check => 'webhooks');
end
$$;

-- Processes the scan that lies in the inbox under `inbox_id`.
--
-- Returns the parcel, and `recorded`; `known` when this scan is stored; `waiting`, with nothing written, when no parcel has the
-- number. Errors: P0002 when there is no such row, class 22 and 23 when the document is no scan.
create function raw_ops.process_courier_event_txn(inbox_id uuid) returns table (shipment_id uuid, outcome text)
language plpgsql
as $$
#variable_conflict use_column
declare
    began timestamptz := clock_timestamp();  -- Elapsed work, not a date: the real clock even under a test clock.
    inbox raw_ops.webhook_inbox;
    parcel uuid;
    courier text;
    code text;
    word text;
    at timestamptz;
    is_told boolean;
begin
    select * into inbox from raw_ops.webhook_inbox w where w.id = $1 for update;
    if not found then
        raise exception 'webhook % is not in the inbox', $1 using errcode = 'P0002';
    end if;
    courier := coalesce(raw_ops.shopify_text(inbox.raw_payload, 'carrier'), 'DPD');
    -- DPD leaves the code out at times.
    code := coalesce(raw_ops.shopify_text(inbox.raw_payload, 'event_code'), 'NONE');
    at := raw_ops.courier_time(inbox.raw_payload ->> 'event_time');
    if at is null then
        raise exception 'the payload is no scan: event_time is missing' using errcode = '22023';
    end if;
    parcel := raw_ops.parcel_of(raw_ops.shopify_text(inbox.raw_payload, 'tracking_no'), at);
    shipment_id := parcel;
    if parcel is null then
        outcome := 'waiting';
        return next;
        return;
    end if;
    -- Scans of one parcel take turns.
    perform from raw_ops.shipments s where s.id = parcel for update;
    word := raw_ops.courier_word(courier, code);
    select m.requires_customer_notification into is_told from raw_ops.courier_event_mapping m
    where upper(m.courier_name) = upper(courier) and m.event_code = code;
    insert into raw_ops.courier_events
        (shipment_id, event_code, event_text, event_time, raw_payload, event_type, requires_customer_notification, created_at)
    values (parcel, code, raw_ops.shopify_text(inbox.raw_payload, 'event_text'), at, inbox.raw_payload, coalesce(word, 'UNKNOWN'),
            coalesce(is_told, false), engine.now())
    on conflict on constraint courier_events_once do nothing;
    outcome := case when found then 'recorded' else 'known' end;
    if outcome = 'recorded' and word is null then
        perform raw_ops.note_unknown_code(courier, code, inbox.id);
    elsif outcome = 'recorded' and raw_ops.parcel_status(word) is not null and (
        word in ('DELIVERED', 'RETURNED')
        or not exists (select from raw_ops.courier_events e where e.shipment_id = parcel and e.event_time > at
                       and raw_ops.parcel_status(e.event_type) is not null))
    then
        perform raw_ops.advance_shipment(parcel, raw_ops.parcel_status(word), at);
    end if;
    perform raw_ops.settle_webhook(inbox.id, began);
    return next;
end
$$;
