-- Who ends an order that the packer has, or sends it elsewhere, tells people: an event, a case in exceptions_queue and a critical
-- alert, because somebody must stop the parcel before it leaves. One that leaves all the same is unexpected.
--
-- Locks: none but for the functions that are replaced. At run time: the alert's key, the caller holds the order.

-- Tells people that an order changed when the packer had it: one open case an order and kind, with an alert of its own.
create function raw_ops.tell_of_late_change(late_order uuid, kind text, message text, inbox_id uuid) returns void
language plpgsql
as $$
declare
    told uuid;
begin
    perform raw_ops.log_event('ORDER', late_order, kind, message, null, 'shopify', inbox_id);
    select x.id into told from raw_ops.exceptions_queue x
    where x.order_id = late_order and x.issue_type = kind and not x.resolved order by x.created_at, x.id limit 1 for update;
    if told is not null then
        update raw_ops.exceptions_queue x set issue_description = message where x.id = told;
    else
        insert into raw_ops.exceptions_queue as x (order_id, issue_type, issue_description, created_at)
        values (late_order, kind, message, engine.now())
        returning x.id into told;
    end if;
    perform from raw_ops.raise_alert('critical', 'An order changed when the packer had it', message,
        key => format('%s %s', kind, told), source_check => 'webhooks');
end
$$;

-- Whether Shopify ended an order, or lines of it, when the packer had it or it had left.
create function raw_ops.has_ended_late(wanted_order uuid) returns boolean
language plpgsql stable  -- As sql it would be planned anew at each call, which takes longer than it runs.
as $$
begin
    return exists (select from raw_ops.ops_events e where e.entity_id = wanted_order and e.kind = 'order_ended_late');
end
$$;

-- Tells people once that Shopify ended an order when the packer had it: every document after it says so again.
create function raw_ops.tell_of_late_end(ended_order uuid, message text, inbox_id uuid) returns void
language plpgsql
as $$
begin
    if not raw_ops.has_ended_late(ended_order) then
        perform raw_ops.tell_of_late_change(ended_order, 'order_ended_late', message, inbox_id);
    end if;
end
$$;

-- As 0153; a late end is told to people, and so is another address of an order that the packer has.
create or replace function raw_ops.apply_shopify_order(inbox raw_ops.webhook_inbox, updated_at timestamp with time zone, old raw_ops.orders, wanted raw_ops.order_status) returns uuid
language plpgsql
as $$
declare
    payload jsonb := inbox.raw_payload;
    new_status raw_ops.order_status := raw_ops.next_order_status(old.status, wanted);
    customer uuid := raw_ops.shopify_customer_id(payload, inbox.id);
    saved_order uuid;
begin
    perform raw_ops.save_shopify_customer(customer, payload);
    saved_order := raw_ops.save_shopify_order(payload, updated_at, customer, new_status);
    perform raw_ops.settle_shopify_items(payload, old, saved_order, new_status, inbox.id);
    perform raw_ops.request_allocation(saved_order, new_status);
    if new_status = 'PENDING' and payload ->> 'financial_status' in ('pending', 'authorized', 'partially_paid')
        and payload ->> 'test' is distinct from 'true' then
        perform raw_ops.hold_stock(saved_order);
    end if;
    if wanted in ('CANCELLED', 'REFUNDED') and new_status in ('EXPORTED', 'DISPATCHED') then
        perform raw_ops.tell_of_late_end(saved_order, format(
            'Shopify says order %s is %s, but it is %s already: stop it at the packer or expect it back',
            payload ->> 'name', wanted, new_status), inbox.id);
    end if;
    if old.status = 'EXPORTED' and new_status = 'EXPORTED' and exists (
        select from raw_ops.orders o
        where o.id = saved_order and row(o.ship_name, o.ship_address1, o.ship_address2, o.ship_city, o.ship_postcode, o.ship_country)
            is distinct from row(old.ship_name, old.ship_address1, old.ship_address2, old.ship_city, old.ship_postcode, old.ship_country))
    then
        perform raw_ops.tell_of_late_change(saved_order, 'address_changed_late', format(
            'Shopify sends order %s to another address now, and the packer has the one before: tell him, or stop it',
            payload ->> 'name'), inbox.id);
    end if;
    perform raw_ops.log_event('ORDER', saved_order, case when old.id is null then 'order_created' else 'order_updated' end,
        format('Order %s from Shopify: %s, %s %s', payload ->> 'name', new_status, payload ->> 'total_price', payload ->> 'currency'),
        jsonb_build_object('inbox_id', inbox.id, 'topic', inbox.topic, 'shopify_order_id', payload ->> 'id',
            'financial_status', payload -> 'financial_status', 'test', payload -> 'test',
            'status_before', old.status, 'status', new_status),
        'shopify', inbox.id);
    return saved_order;
end
$$;

-- As 0141; a late end is told to people.
create or replace function raw_ops.settle_refunded_order(payload jsonb, refunded raw_ops.orders, inbox_id uuid) returns integer
language plpgsql
as $$
declare
    given_back numeric;
    ended boolean;
    new_status raw_ops.order_status;
begin
    select coalesce(sum(r.amount_gbp), 0) into given_back from raw_ops.refunds r where r.order_id = refunded.id and r.status = 'processed';
    ended := given_back > 0 and given_back >= refunded.total_inc_vat;
    new_status := case when ended then raw_ops.next_order_status(refunded.status, 'REFUNDED') else refunded.status end;
    if new_status <> refunded.status then
        update raw_ops.orders o set status = new_status where o.id = refunded.id;
        perform raw_ops.request_allocation(refunded.id, new_status);
    elsif refunded.status in ('PENDING', 'PAID', 'PARTIALLY_ALLOCATED', 'ALLOCATED') then
        return raw_ops.shrink_refunded_lines(payload, refunded, inbox_id);
    elsif refunded.status in ('EXPORTED', 'DISPATCHED') and (ended or exists (select from raw_ops.shopify_cancelled_lines(payload))) then
        perform raw_ops.tell_of_late_end(refunded.id, format(
            'Shopify refunded order %s when it was %s already: stop it at the packer or expect it back',
            refunded.order_number_label, refunded.status), inbox_id);
    end if;
    return 0;
end
$$;

-- As 0158; what Shopify had ended by then is unexpected too.
create or replace function raw_ops.dispatch_parcel(shipped raw_ops.orders, said jsonb, left_at timestamptz) returns uuid
language plpgsql
as $$
declare
    made uuid;
    fault text;
begin
    -- A statement of its own, so that the next one sees what the holder before has written.
    perform pg_advisory_xact_lock(hashtextextended('raw_ops.parcel ' || (said ->> 'tracking_no'), 0));
    if exists (
        select from raw_ops.shipments s
        where s.tracking_no = said ->> 'tracking_no' and s.status not in ('DELIVERED', 'RETURNED') and s.order_id <> shipped.id)
    then
        raise exception 'parcel % is on its way for another order', said ->> 'tracking_no' using errcode = '22023';
    end if;
    -- Scans find the parcel by when it was made, and may be older than the file.
    insert into raw_ops.shipments as s
        (order_id, batch_id, courier, service, tracking_no, created_at, dispatched_at, dispatch_temp_recorded, coolant_units_used, address_json)
    values (
        shipped.id, raw_ops.only_batch_of(shipped.id), coalesce(said ->> 'courier', 'DPD'), said ->> 'service', said ->> 'tracking_no',
        least(engine.now(), left_at), left_at, (said ->> 'temperature_c')::numeric, (said ->> 'coolant_units')::smallint,
        jsonb_strip_nulls(jsonb_build_object('name', shipped.ship_name, 'address1', shipped.ship_address1, 'address2', shipped.ship_address2,
            'city', shipped.ship_city, 'postcode', shipped.ship_postcode, 'country', shipped.ship_country)))
    returning s.id into made;
    fault := case
        when shipped.status in ('PENDING', 'CANCELLED', 'REFUNDED') then 'is ' || shipped.status
        when raw_ops.has_ended_late(shipped.id) then 'Shopify has ended'
    end;
    if fault is not null then
        insert into raw_ops.exceptions_queue (order_id, shipment_id, issue_type, issue_description, raw_data, created_at)
        values (shipped.id, made, 'dispatch_unexpected', format('The packer sent order %s, which %s', shipped.external_order_ref, fault),
            said, engine.now());
        perform from raw_ops.raise_alert('warning', 'The packer sent an order that he should not have',
            format('Order %s, which %s, has left as parcel %s.', shipped.external_order_ref, fault, said ->> 'tracking_no'),
            key => 'dispatch unexpected', source_check => 'dispatch');
    end if;
    return made;
end
$$;
