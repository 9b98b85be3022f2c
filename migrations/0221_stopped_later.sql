-- What the packer did not send waits for what it needs to know. His row may be here before Shopify's cancel, or before it is known that
-- he has the file: it is tried again for a while (RW060, which its job takes for `not_ready`) and was dead at once. An order that was
-- refunded, and not cancelled, ends as REFUNDED, as it does when the packer never had it. And a row that has a tracking number is not
-- believed that nothing was sent, also when a person has set it to pending.
--
-- Locks: none; two functions get new texts.

-- Errors: 22023 when a parcel of it has left or the packer does not have it; RW060 when Shopify has not ended the whole of it, or when
-- it is not known yet whether the packer has its file.
create or replace function raw_ops.stop_order(stopped_order uuid, who text) returns text
language plpgsql
as $$
declare
    stopped raw_ops.orders;
    export raw_ops.export_outbox;
    name text;
    ended_as raw_ops.order_status;
begin
    select coalesce(o.external_order_ref, o.order_number_label, o.id::text) into name from raw_ops.orders o where o.id = stopped_order;
    perform pg_advisory_xact_lock(hashtextextended('raw_ops.dispatch ' || name, 0));
    select * into export from raw_ops.export_outbox e where stopped_order = any (e.order_ids) order by e.created_at desc, e.id limit 1 for update;
    perform from raw_ops.shipments s where s.order_id = stopped_order order by s.id for update;
    select * into stopped from raw_ops.orders o where o.id = stopped_order for no key update;
    if stopped.export_state = 'stopped' then
        return 'known';
    elsif exists (select from raw_ops.shipments s where s.order_id = stopped_order) then
        raise exception 'order % has left as a parcel, so it was not stopped', name using errcode = '22023';
    elsif stopped.status = 'EXPORTED' and stopped.export_state = 'queued' then
        raise exception 'order % is in a file of which it is not known yet whether the packer has it', name using errcode = 'RW060';
    elsif not (stopped.status = 'EXPORTED' and stopped.export_state in ('exported', 'acked')
               or stopped.status = 'ALLOCATED' and stopped.export_state = 'ended') then
        raise exception 'order % is %, its export %: the packer does not have it', name, stopped.status, coalesce(stopped.export_state, 'not made')
            using errcode = '22023';
    elsif not raw_ops.is_ended_at_shopify(stopped) then
        raise exception 'order % was not sent, and Shopify has not ended it: cancel it there first, or have it packed again', name
            using errcode = 'RW060';
    end if;
    update raw_ops.export_outbox e set stopped_order_ids = e.stopped_order_ids || stopped_order where e.id = export.id;
    -- As the webhook would have ended it: what is not cancelled or voided was refunded.
    ended_as := case raw_ops.shopify_order_status(coalesce(stopped.notes_json, '{}')) when 'CANCELLED' then 'CANCELLED' else 'REFUNDED' end;
    update raw_ops.orders o set status = ended_as, export_state = 'stopped' where o.id = stopped_order;
    perform raw_ops.request_allocation(stopped_order, ended_as);
    update raw_ops.exceptions_queue x set resolved = true, resolved_at = engine.now(), resolved_by = who
    where x.order_id = stopped_order and not x.resolved
      and x.issue_type in ('order_ended_late', 'export_ended', 'order_changed_late', 'address_changed_late');
    perform raw_ops.log_event('ORDER', stopped_order, 'order_stopped',
        format('The packer did not send order %s, which Shopify has ended, says %s', name, who),
        jsonb_build_object('by', who, 'export_id', export.id, 'status_before', stopped.status), null, export.id);
    return 'stopped';
end
$$;

-- As 0196; a row that says both is refused.
create or replace function raw_ops.process_dispatch_txn(row_id uuid) returns TABLE(shipment_id uuid, outcome text)
language plpgsql
as $$
#variable_conflict use_column
declare
    queued raw_ops.dispatch_import_queue;
    shipped raw_ops.orders;
    left_at timestamptz;
begin
    select * into queued from raw_ops.dispatch_import_queue q where q.id = row_id for update;
    outcome := case when queued.id is null then 'gone' when queued.processing_status in ('processed', 'ignored') then queued.processing_status end;
    if outcome is not null then
        return next;
        return;
    end if;
    -- Of what he did not send there is no parcel.
    if queued.dispatch_data ->> 'status' = 'not_sent' then
        if raw_ops.shopify_text(queued.dispatch_data, 'tracking_no') is not null then
            raise exception 'status is not_sent, and tracking_no says that it left' using errcode = '22023';
        end if;
        select o.id into shipped.id from raw_ops.orders o where o.external_order_ref = queued.external_order_id;
        outcome := case when shipped.id is null then 'unmatched' else raw_ops.stop_order(shipped.id, 'the packer') end;
        update raw_ops.dispatch_import_queue q
        set processing_status = 'processed', processed_at = engine.now(), error_message = null
        where q.id = row_id and outcome <> 'unmatched';
        return next;
        return;
    end if;
    -- What a person has set to pending was not read by the program that reads files.
    if raw_ops.shopify_text(queued.dispatch_data, 'tracking_no') is null then
        raise exception 'tracking_no is missing' using errcode = '22023';
    end if;
    left_at := raw_ops.courier_time(queued.dispatch_data ->> 'dispatched_at');
    if left_at is null or left_at > engine.now() + interval '1 day' then
        raise exception 'dispatched_at is %, which has not come yet', coalesce(queued.dispatch_data ->> 'dispatched_at', 'missing')
            using errcode = '22023';
    end if;
    select * into shipped from raw_ops.orders o where o.external_order_ref = queued.external_order_id;
    if shipped.id is null then
        outcome := 'unmatched';
        return next;
        return;
    end if;
    -- Rows of one order take turns: one that found no parcel would wait for the parcel that another made meanwhile, holding the
    -- order that a third, which has the parcel, waits for.
    perform pg_advisory_xact_lock(hashtextextended('raw_ops.dispatch ' || queued.external_order_id, 0));
    -- Parcels before their order, as scans do. Then a statement of its own, so that it sees what the holders have written.
    perform from raw_ops.shipments s where s.order_id = shipped.id order by s.id for update;
    select * into shipped from raw_ops.orders o where o.id = shipped.id for no key update;
    select s.id into shipment_id from raw_ops.shipments s
    where s.order_id = shipped.id and s.tracking_no = queued.dispatch_data ->> 'tracking_no' order by s.created_at desc limit 1;
    outcome := case when shipment_id is null then 'dispatched' else 'known' end;
    shipment_id := coalesce(shipment_id, raw_ops.dispatch_parcel(shipped, queued.dispatch_data, left_at));
    perform raw_ops.advance_shipment(shipment_id, 'DISPATCHED', left_at);
    update raw_ops.dispatch_import_queue q
    set processing_status = 'processed', processed_at = engine.now(), error_message = null where q.id = row_id;
    return next;
end
$$;
