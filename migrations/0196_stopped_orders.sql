-- An order that Shopify ended when the packer had it comes to its end when he stopped it: its stock comes back, the export says so,
-- the order is cancelled and its cases are closed. The packer says it in a row of his files, `not_sent`, or a person says it for him.
--
-- Locks: access exclusive on raw_ops.export_outbox for the new column. At run time: the order's turn, its export, then as a dispatch
-- its parcels, the order, products and batches.

alter table raw_ops.export_outbox add column stopped_order_ids uuid[] not null default '{}';
comment on column raw_ops.export_outbox.stopped_order_ids is 'Orders of it that the packer did not send, because Shopify had ended them.';
comment on column raw_ops.orders.export_state is
    'Null, review, queued (in a batch), exported (the drop has it), acked (the packer has read it), ended, stopped (he did not send it).';

-- Ends an order that the packer did not send, by the word of `who`: `stopped`, or `known` when it was ended so before.
-- Errors: 22023 when Shopify has not ended the whole of it, a parcel of it has left, or the packer does not have it.
create function raw_ops.stop_order(stopped_order uuid, who text) returns text
language plpgsql
as $$
declare
    stopped raw_ops.orders;
    export raw_ops.export_outbox;
    name text;
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
    elsif not (stopped.status = 'EXPORTED' and stopped.export_state in ('exported', 'acked')
               or stopped.status = 'ALLOCATED' and stopped.export_state = 'ended') then
        raise exception 'order % is %, its export %: the packer does not have it', name, stopped.status, coalesce(stopped.export_state, 'not made')
            using errcode = '22023';
    elsif not raw_ops.is_ended_at_shopify(stopped) then
        raise exception 'order % was not sent, and Shopify has not ended it: cancel it there first, or have it packed again', name
            using errcode = '22023';
    end if;
    update raw_ops.export_outbox e set stopped_order_ids = e.stopped_order_ids || stopped_order where e.id = export.id;
    update raw_ops.orders o set status = 'CANCELLED', export_state = 'stopped' where o.id = stopped_order;
    perform raw_ops.request_allocation(stopped_order, 'CANCELLED');
    update raw_ops.exceptions_queue x set resolved = true, resolved_at = engine.now(), resolved_by = who
    where x.order_id = stopped_order and not x.resolved
      and x.issue_type in ('order_ended_late', 'export_ended', 'order_changed_late', 'address_changed_late');
    perform raw_ops.log_event('ORDER', stopped_order, 'order_stopped',
        format('The packer did not send order %s, which Shopify has ended, says %s', name, who),
        jsonb_build_object('by', who, 'export_id', export.id, 'status_before', stopped.status), null, export.id);
    return 'stopped';
end
$$;

-- Whether Shopify's last word is that the whole order is over.
create function raw_ops.is_ended_at_shopify(wanted raw_ops.orders) returns boolean
language sql stable
as $$
    select wanted.notes_json ->> 'cancelled_at' is not null
        or coalesce(wanted.notes_json ->> 'financial_status' in ('refunded', 'voided'), false)
        or exists (select from raw_ops.refunds r where r.order_id = wanted.id and r.status = 'processed'
                   having sum(r.amount_gbp) > 0 and sum(r.amount_gbp) >= wanted.total_inc_vat)
$$;

-- A person's word that the packer did not send an order, which is named as the packer or the shop names it.
-- Errors: P0002 when there is no such order, or more than one; 22023 without a name, and as stop_order.
create function raw_ops.resolve_stopped_order(order_name text, decided_by text) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    found uuid[];
begin
    if coalesce(btrim(decided_by), '') = '' then
        raise exception 'an order is stopped with the name of who says so' using errcode = '22023';
    end if;
    found := array(select o.id from raw_ops.orders o where o.external_order_ref = order_name);
    if cardinality(found) = 0 then
        found := array(select o.id from raw_ops.orders o where o.order_number_label = order_name limit 2);
    end if;
    if cardinality(found) <> 1 then
        raise exception '% is called %', case cardinality(found) when 0 then 'no order' else 'more than one order' end, order_name
            using errcode = 'P0002';
    end if;
    return raw_ops.stop_order(found[1], btrim(decided_by));
end
$$;

-- As 0161; a row may say that an order was not sent.
create or replace function raw_ops.process_dispatch_txn(row_id uuid) returns table (shipment_id uuid, outcome text)
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
