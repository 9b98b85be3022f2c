-- Logs of temperature: what a logger measured on a parcel's way, and whether the parcel stayed cold.
--
-- A log lies in the inbox of webhooks with the source `logger`, known by its bytes and what it is said to be of. Readings are
-- kept whole; the figures and the verdict are those of the way. A breach is told once a parcel.
-- Locks: share row exclusive on dead_letter_queue, access exclusive on temperature_logger_data, for a moment. At run time: the
-- inbox row, the parcel.

-- As 0158, with logs.
create or replace function raw_ops.webhook_kind(source text, topic text) returns text
language sql immutable parallel safe
as $$
    select case
        when source = 'courier' then 'couriers.record_event'
        when source = 'packer' then 'dispatch.read_file'
        when source = 'logger' then 'couriers.import_logger'
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
    'customers.process_customer', 'customers.handle_privacy_request', 'couriers.record_event', 'dispatch.read_file', 'couriers.import_logger'))
execute function raw_ops.follow_dead_letter($update$
    update raw_ops.webhook_inbox
    set processing_status = 'failed', processing_attempts = processing_attempts + coalesce(($1).attempts, 1),
        last_error = ($1).error_message, last_error_at = engine.now(), error_category = ($1).category, updated_at = engine.now()
    where id = (($1).payload ->> 'inbox_id')::uuid and processing_status <> 'success'
$update$);

alter table raw_ops.temperature_logger_data add column inbox_id uuid unique;
comment on column raw_ops.temperature_logger_data.inbox_id is 'Its file, which may be forgotten before the readings.';
create index temperature_audits_shipment on raw_ops.temperature_audits (shipment_id);

insert into raw_ops.config (key, value_numeric, description) values
    ('cold_chain.limit_c', -5, 'A parcel must not be warmer than this on its way, in degrees Celsius'),
    ('cold_chain.tolerated_minutes', 30, 'For so many minutes of its way a parcel may be warmer all the same')
on conflict (key) do nothing;

-- Stores the log of a parcel: `about` says of which (`shipment_id` or `tracking_no`), by which logger, and where in the box it
-- lay. Returns the row, and `enqueued`, or `duplicate` when it is known.
create function raw_ops.store_temperature_log(about text, headers text, body bytea, digest bytea) returns table (inbox_id uuid, outcome text)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    key text := 'sha256:' || encode(digest, 'hex');
begin
    insert into raw_ops.webhook_inbox as w
        (source, topic, webhook_id, raw_headers, raw_payload, raw_body, body_sha256, hmac_verified, received_at, created_at, updated_at)
    values ('logger', 'temperature/log', key, headers::jsonb, about::jsonb, body, digest, true, engine.now(), engine.now(), engine.now())
    on conflict (source, shop, webhook_id) do nothing
    returning w.id into inbox_id;
    outcome := case when inbox_id is null then 'duplicate' else 'enqueued' end;
    inbox_id := coalesce(inbox_id, (select w.id from raw_ops.webhook_inbox w where w.source = 'logger' and w.shop = '' and w.webhook_id = key));
    return next;
end
$$;
revoke execute on function raw_ops.store_temperature_log(text, text, bytea, bytea) from public;

-- The parcel of a log that begins at `at`, when it was on its way, and what it may be like. `shipment_id` is null while no
-- parcel is known. Locks: the parcel.
create function raw_ops.parcel_of_log(inbox_id uuid, at timestamptz)
returns table (shipment_id uuid, left_at timestamptz, arrived_at timestamptz, limit_c numeric, tolerated_minutes integer)
language plpgsql
as $$
declare
    about jsonb := (select w.raw_payload from raw_ops.webhook_inbox w where w.id = inbox_id);
    parcel raw_ops.shipments;
begin
    select * into parcel from raw_ops.shipments s
    where s.id = coalesce((about ->> 'shipment_id')::uuid, raw_ops.parcel_of(about ->> 'tracking_no', at)) for update;
    return query select parcel.id, parcel.dispatched_at, parcel.delivered_at, raw_ops.threshold('cold_chain.limit_c'),
        raw_ops.threshold('cold_chain.tolerated_minutes')::integer;
end
$$;

-- Says of a parcel what a log of it showed: each of two loggers has a column, and the worse verdict of the two stands.
-- Locks: the parcel, which the caller holds.
create function raw_ops.audit_temperature(parcel uuid, place text, file text, arrival numeric, class text) returns void
language plpgsql
as $$
declare
    known uuid := (select a.id from raw_ops.temperature_audits a where a.shipment_id = parcel order by a.created_at, a.id limit 1);
    is_core boolean := place is distinct from 'corner';
begin
    if known is null then
        insert into raw_ops.temperature_audits (shipment_id, pass_class, created_at) values (parcel, class, engine.now()) returning id into known;
    end if;
    update raw_ops.temperature_audits a
    set logger_core_csv_url = case when is_core then file else a.logger_core_csv_url end,
        arrival_core_celsius = case when is_core then arrival else a.arrival_core_celsius end,
        logger_corner_csv_url = case when is_core then a.logger_corner_csv_url else file end,
        arrival_corner_celsius = case when is_core then a.arrival_corner_celsius else arrival end,
        pass_class = case when 'FAIL' in (a.pass_class, class) then 'FAIL' when 'REVIEW' in (a.pass_class, class) then 'REVIEW' else class end
    where a.id = known;
    update raw_ops.shipments s
    set courier_temp_compliance = (select case a.pass_class when 'PASS' then 'COMPLIANT' when 'FAIL' then 'BREACH' else 'UNKNOWN' end
        from raw_ops.temperature_audits a where a.id = known)
    where s.id = parcel;
end
$$;

-- Tells people that a parcel was too warm: a case, once while it is open, and an alert.
create function raw_ops.tell_of_breach(parcel raw_ops.shipments, logger text, details text) returns void
language plpgsql
as $$
begin
    if exists (select from raw_ops.exceptions_queue e where e.shipment_id = parcel.id and not e.resolved and e.issue_type = 'temperature_breach') then
        return;
    end if;
    insert into raw_ops.exceptions_queue (order_id, shipment_id, issue_type, issue_description, raw_data, created_at)
    values (parcel.order_id, parcel.id, 'temperature_breach', details,
            jsonb_strip_nulls(jsonb_build_object('logger_id', logger, 'tracking_no', parcel.tracking_no)), engine.now());
    perform from raw_ops.raise_alert('critical', 'A parcel was too warm',
        format('Parcel %s was %s. Its case is in exceptions_queue: ask the customer before the food is fed.', parcel.tracking_no, details),
        jsonb_build_array(jsonb_build_object('label', 'Parcel', 'value', coalesce(parcel.tracking_no, parcel.id::text), 'inline', true),
            jsonb_build_object('label', 'Logger', 'value', logger, 'inline', true)),
        key => format('cold chain %s', parcel.id), source_check => 'couriers');
end
$$;

-- Writes down a log, once a file: its readings, the figures of the way, the parcel's audit, and what follows from a breach.
-- Returns the row of the readings.
-- Locks: the parcel, the inbox row.
create function raw_ops.save_temperature_log(inbox_id uuid, parcel_id uuid, readings jsonb, figures jsonb, class text, details text) returns bigint
language plpgsql
as $$
#variable_conflict use_variable
declare
    began timestamptz := clock_timestamp();  -- Elapsed work, not a date: the real clock even under a test clock.
    inbox raw_ops.webhook_inbox;
    parcel raw_ops.shipments;
    logger text;
    made bigint;
begin
    select * into parcel from raw_ops.shipments s where s.id = parcel_id for update;
    select * into inbox from raw_ops.webhook_inbox w where w.id = $1 for update;
    logger := coalesce(raw_ops.shopify_text(inbox.raw_payload, 'logger_id'), 'unknown');
    insert into raw_ops.temperature_logger_data as d
        (order_id, shipment_id, logger_id, logger_type, readings, min_temp_c, max_temp_c, avg_temp_c, time_above_5c_minutes,
         time_above_10c_minutes, trip_start_at, trip_end_at, trip_duration_hours, cold_chain_intact, breach_detected, breach_details,
         data_uploaded_at, data_source, raw_file_url, created_at, inbox_id)
    select parcel.order_id, parcel.id, logger, coalesce(raw_ops.shopify_text(inbox.raw_payload, 'logger_type'), 'USB'), readings,
        f.min, f.max, f.mean, f.above_5, f.above_10, f.start, f."end", round(extract(epoch from f."end" - f.start) / 3600, 2),
        case class when 'PASS' then true when 'FAIL' then false end, class = 'FAIL', details, inbox.received_at, 'upload',
        'webhook_inbox/' || inbox.id, engine.now(), inbox.id
    from jsonb_to_record(figures) f (min numeric, max numeric, mean numeric, above_5 integer, above_10 integer, start timestamptz, "end" timestamptz)
    on conflict on constraint temperature_logger_data_inbox_id_key do nothing
    returning d.id into made;
    if made is not null then
        perform raw_ops.audit_temperature(parcel.id, inbox.raw_payload ->> 'position', 'webhook_inbox/' || inbox.id,
            (figures ->> 'arrival')::numeric, class);
        perform raw_ops.log_event('SHIPMENT', parcel.id, case class when 'FAIL' then 'TEMPERATURE_ALERT' else 'TEMPERATURE_LOGGED' end,
            coalesce(details, 'The parcel stayed cold'), jsonb_build_object('order_id', parcel.order_id, 'class', class, 'logger_id', logger),
            'logger', inbox.id);
        if class = 'FAIL' then
            perform raw_ops.tell_of_breach(parcel, logger, details);
        end if;
    end if;
    perform raw_ops.settle_webhook(inbox.id, began);
    return coalesce(made, (select d.id from raw_ops.temperature_logger_data d where d.inbox_id = inbox.id));
end
$$;
