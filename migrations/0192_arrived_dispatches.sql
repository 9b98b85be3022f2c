-- Nobody is told that a parcel has left whose arrival lies in the inbox: a scan that comes before the packer's file waits until there
-- is a parcel, so the file came first into the books, and its mail out of the door after the parcel was in it.
--
-- Locks: share on raw_ops.webhook_inbox while its index is made; at run time as 0178.

create index webhook_inbox_waiting_scans on raw_ops.webhook_inbox ((raw_payload ->> 'tracking_no'))
where source = 'courier' and processing_status in ('pending', 'processing', 'retrying', 'failed');

-- Whether a scan that is not written down yet says that a parcel has arrived, or came back.
create function raw_ops.has_arrived_unread(parcel raw_ops.shipments) returns boolean
language sql stable
as $$
    select exists (
        select from raw_ops.webhook_inbox w
        where w.source = 'courier' and w.processing_status in ('pending', 'processing', 'retrying', 'failed')
          and w.raw_payload ->> 'tracking_no' = parcel.tracking_no
          and raw_ops.courier_word(coalesce(raw_ops.shopify_text(w.raw_payload, 'carrier'), 'DPD'),
              coalesce(raw_ops.shopify_text(w.raw_payload, 'event_code'), 'NONE')) in ('DELIVERED', 'RETURNED')
          -- A scan of another parcel that had the number before, as parcel_of knows it.
          and raw_ops.courier_time(w.raw_payload ->> 'event_time') between parcel.created_at - interval '1 day'
              and parcel.created_at + interval '120 days'
    )
$$;

-- As 0178, and not of one whose arrival waits in the inbox.
create or replace function raw_ops.mail_of_dispatch(parcel raw_ops.shipments) returns boolean
language plpgsql
as $$
declare
    ordered raw_ops.orders;
    person raw_ops.customers;
begin
    select * into ordered from raw_ops.orders o where o.id = parcel.order_id;
    select * into person from raw_ops.customers c where c.id = ordered.customer_id;
    if person.email is null or ordered.status in ('PENDING', 'CANCELLED', 'REFUNDED') or raw_ops.has_ended_late(ordered.id)
        or parcel.dispatched_at < engine.now() - make_interval(hours => raw_ops.threshold('couriers.notify_within_hours')::integer)
        or raw_ops.has_arrived_unread(parcel) then
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
