-- What becomes of a scan that a customer or a person should hear of: a mail, a case for people, and an alert, each once.
--
-- A scan is stored once, and its row becomes a job, which does all three in one transaction with its completion. The same code
-- again on the same day makes no second mail, and while a parcel's case is open no second case. A scan that comes after the
-- parcel has arrived, or days late, is told to nobody.
-- Locks: share row exclusive on courier_events, for a moment; at run time the parcel's row.

create trigger trg_enqueue_handle_exception_new after insert on raw_ops.courier_events
referencing new table as new_rows for each statement
execute function raw_ops.enqueue_row('couriers.handle_exception', 'couriers', 'event_id', 'id', '', '',
    'requires_customer_notification or event_type in (''EXCEPTION'', ''RETURNED'')');

create index exceptions_queue_open_parcels on raw_ops.exceptions_queue (shipment_id) where not resolved and shipment_id is not null;

insert into raw_ops.config (key, value_numeric, description)
values ('couriers.notify_within_hours', 48, 'A scan that comes later than this is not mailed to the customer')
on conflict (key) do nothing;

comment on column raw_ops.courier_events.notification_channel is
    'email: a mail was put into the outbox, and customer_notified_at says when it was sent; none: there was nothing to tell any more.';

-- Puts the mail about a scan into the outbox: once a parcel, code and day of London. Returns whether it is a new one.
create function raw_ops.mail_of_scan(scan raw_ops.courier_events, parcel raw_ops.shipments, mapping raw_ops.courier_event_mapping) returns boolean
language plpgsql
as $$
declare
    person raw_ops.customers;
    ordered raw_ops.orders;
begin
    select * into ordered from raw_ops.orders o where o.id = parcel.order_id;
    select * into person from raw_ops.customers c where c.id = ordered.customer_id;
    if person.email is null then
        return false;
    end if;
    insert into raw_ops.outbox (created_at, target, event_type, payload_json, idempotency_key)
    select engine.now(), 'customerio', t.template, jsonb_build_object('to', person.email, 'customer_id', person.id, 'courier_event_id', scan.id,
            'transactional_message_id', t.template, 'message_data', jsonb_strip_nulls(jsonb_build_object(
                'order_number', ordered.order_number_label, 'courier', mapping.courier_name, 'tracking_no', parcel.tracking_no,
                'first_name', person.first_name, 'message', mapping.customer_message_short,
                'event_time', to_char(scan.event_time at time zone 'Europe/London', 'YYYY-MM-DD HH24:MI')))),
        format('courier %s %s %s', parcel.id, scan.event_code, to_char(scan.event_time at time zone 'Europe/London', 'YYYY-MM-DD'))
    from (select coalesce(nullif(mapping.notification_template_id, ''), 'delivery_exception') as template) t
    on conflict (idempotency_key) do nothing;
    return found;
end
$$;

-- Opens a case about a parcel for people, and alerts them: one open case a parcel and code; of all parcels that meet with a code
-- one alert is posted, and the others are counted. Returns whether the case is a new one.
create function raw_ops.open_parcel_case(scan raw_ops.courier_events, parcel raw_ops.shipments, mapping raw_ops.courier_event_mapping, courier text)
returns boolean
language plpgsql
as $$
declare
    words text := coalesce(nullif(scan.event_text, ''), format('code %s of %s', scan.event_code, courier));
    is_back boolean := scan.event_type = 'RETURNED';
begin
    if exists (
        select from raw_ops.exceptions_queue e
        where e.shipment_id = parcel.id and not e.resolved and e.issue_type = 'courier_exception' and e.raw_data ->> 'event_code' = scan.event_code
    ) then
        return false;
    end if;
    insert into raw_ops.exceptions_queue (order_id, shipment_id, issue_type, issue_description, raw_data, created_at)
    values (parcel.order_id, parcel.id, 'courier_exception', words, jsonb_strip_nulls(jsonb_build_object('event_code', scan.event_code,
        'tracking_no', parcel.tracking_no, 'courier', courier, 'courier_event_id', scan.id, 'event_time', scan.event_time)), engine.now());
    perform raw_ops.log_event('SHIPMENT', parcel.id, 'EXCEPTION', words, jsonb_build_object('order_id', parcel.order_id,
        'event_code', scan.event_code, 'event_type', scan.event_type), courier, scan.id);
    perform from raw_ops.raise_alert(
        case when lower(mapping.internal_priority) in ('urgent', 'critical') then 'critical' else 'warning' end,
        case when is_back then 'A parcel comes back' else 'A parcel is held up' end,
        format('%s says of parcel %s: %s. Its case is in exceptions_queue.', courier, parcel.tracking_no, words),
        jsonb_build_array(jsonb_build_object('label', 'Parcel', 'value', coalesce(parcel.tracking_no, parcel.id::text), 'inline', true),
            jsonb_build_object('label', 'Code', 'value', scan.event_code, 'inline', true)),
        key => format('courier exception %s %s', courier, scan.event_code), source_check => 'couriers');
    return true;
end
$$;

-- Does what follows from a scan, once: `told` says what was done, `overtaken` where the parcel has arrived since.
-- Locks: the parcel, then the scan.
create function raw_ops.handle_courier_event(event_id uuid) returns table (outcome text, is_mailed boolean, is_case boolean)
language plpgsql
as $$
declare
    scan raw_ops.courier_events;
    parcel raw_ops.shipments;
    mapping raw_ops.courier_event_mapping;
    courier text;
begin
    is_mailed := false;
    is_case := false;
    -- A statement of its own, so that what comes after sees what the holder before has written.
    select * into parcel from raw_ops.shipments s
    where s.id = (select e.shipment_id from raw_ops.courier_events e where e.id = event_id) for update;
    select * into scan from raw_ops.courier_events e where e.id = event_id for update;
    outcome := case
        when scan.id is null then 'gone'
        when scan.notification_channel is not null then 'known'
        when parcel.status in ('DELIVERED', 'RETURNED') and scan.event_type is distinct from parcel.status::text then 'overtaken'
        else 'told'
    end;
    if outcome = 'told' then
        courier := coalesce(raw_ops.shopify_text(scan.raw_payload, 'carrier'), parcel.courier, 'DPD');
        select * into mapping from raw_ops.courier_event_mapping m
        where upper(m.courier_name) = upper(courier) and m.event_code = scan.event_code;
        if scan.requires_customer_notification
            and scan.event_time > engine.now() - make_interval(hours => raw_ops.threshold('couriers.notify_within_hours')::integer) then
            is_mailed := raw_ops.mail_of_scan(scan, parcel, mapping);
        end if;
        if scan.event_type in ('EXCEPTION', 'RETURNED') then
            is_case := raw_ops.open_parcel_case(scan, parcel, mapping, courier);
        end if;
    end if;
    if outcome in ('told', 'overtaken') then
        update raw_ops.courier_events e set notification_channel = case when is_mailed then 'email' else 'none' end where e.id = scan.id;
    end if;
    return next;
end
$$;

-- As 0110, and a scan says when its customer was told.
create or replace function raw_ops.mark_sent(mail_id uuid, delivery text) returns void
language plpgsql
as $$
declare
    mail raw_ops.outbox;
begin
    update raw_ops.outbox o
    set state = 'sent', delivery_id = coalesce(o.delivery_id, delivery), error_message = null, updated_at = engine.now()
    where o.id = mail_id
    returning o.* into mail;
    perform raw_ops.note_email_event(mail);
    if mail.payload_json ? 'courier_event_id' then
        update raw_ops.courier_events e set customer_notified_at = mail.last_sent_at
        where e.id::text = mail.payload_json ->> 'courier_event_id' and e.customer_notified_at is null;
    end if;
end
$$;

-- As 0142, and a parcel that has arrived is no case any more.
create or replace function raw_ops.advance_shipment(parcel uuid, wanted raw_ops.shipment_status, at timestamptz) returns raw_ops.shipment_status
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
    -- What held it up is over.
    update raw_ops.exceptions_queue e set resolved = true, resolved_at = engine.now(), resolved_by = 'system'
    where becomes = 'DELIVERED' and e.shipment_id = parcel and e.issue_type = 'courier_exception' and not e.resolved;
    perform raw_ops.log_event('SHIPMENT', parcel, 'shipment_' || lower(becomes::text), format('The parcel is %s', becomes),
        jsonb_build_object('order_id', now_is.order_id, 'status_before', now_is.status, 'at', at), null, parcel);
    return becomes;
end
$$;
