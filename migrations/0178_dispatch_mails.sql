-- A customer hears that a parcel has left, with its number: one mail a parcel, in the commit that says it left.
--
-- Nobody is told of a parcel of an order that is none any more, of one that has arrived by the time we hear of it, or of one that
-- left so long ago that it has: `couriers.notify_within_hours`, as with scans.
-- Locks: none but for the function that is replaced. At run time: the outbox's row; the caller holds the parcel.

-- Puts the mail that a parcel has left into the outbox. Returns whether it is a new one.
create function raw_ops.mail_of_dispatch(parcel raw_ops.shipments) returns boolean
language plpgsql
as $$
declare
    ordered raw_ops.orders;
    person raw_ops.customers;
begin
    select * into ordered from raw_ops.orders o where o.id = parcel.order_id;
    select * into person from raw_ops.customers c where c.id = ordered.customer_id;
    if person.email is null or ordered.status in ('PENDING', 'CANCELLED', 'REFUNDED') or raw_ops.has_ended_late(ordered.id)
        or parcel.dispatched_at < engine.now() - make_interval(hours => raw_ops.threshold('couriers.notify_within_hours')::integer) then
        return false;
    end if;
    insert into raw_ops.outbox (created_at, target, event_type, payload_json, idempotency_key)
    select engine.now(), 'customerio', 'order_dispatched', jsonb_build_object('to', person.email, 'customer_id', person.id,
            'shipment_id', parcel.id, 'transactional_message_id', 'order_dispatched', 'message_data', jsonb_strip_nulls(jsonb_build_object(
                'order_number', ordered.order_number_label, 'first_name', person.first_name, 'courier', parcel.courier,
                'service', parcel.service, 'tracking_no', parcel.tracking_no,
                'dispatched_at', to_char(parcel.dispatched_at at time zone 'Europe/London', 'YYYY-MM-DD HH24:MI'),
                'deliver_on', (select p.deliver_on from raw_ops.packing_instructions p where p.order_id = ordered.id limit 1)))),
        format('dispatched %s', parcel.id)
    on conflict (idempotency_key) do nothing;
    return found;
end
$$;

-- As 0166, and the customer hears that the parcel has left.
create or replace function raw_ops.advance_shipment(parcel uuid, wanted raw_ops.shipment_status, at timestamp with time zone) returns raw_ops.shipment_status
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
        update raw_ops.shipments s set status = 'DISPATCHED', dispatched_at = coalesce(s.dispatched_at, at) where s.id = parcel
        returning s.* into now_is;
        if becomes not in ('DELIVERED', 'RETURNED') then
            perform raw_ops.mail_of_dispatch(now_is);
        end if;
        now_is.status := 'CREATED';
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
