-- What a person decides takes effect: a batch set to `pending` is put to the drop again even when it was there once, and a row of
-- the packer's that is set to `pending` before it is mended makes no parcel without a number.
--
-- Locks: none but for the functions that are replaced.

-- As 0157; `pending` sends the file again.
create or replace function raw_ops.resolve_export(export_id uuid, decision text, decided_by text) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    export raw_ops.export_outbox;
begin
    select * into export from raw_ops.export_outbox e where e.id = export_id for update;
    if not found then
        raise exception 'there is no export %', export_id using errcode = 'P0002';
    elsif decision is null or decision not in ('pending', 'confirmed', 'cancelled') or export.status in ('confirmed', 'cancelled') then
        raise exception 'export % is %, which does not become %', export.batch_id, export.status, coalesce(decision, 'null')
            using errcode = '22023';
    elsif exists (select from engine.unique_key u where u.kind = 'export.send_file' and u.key = export_id::text) then
        raise exception 'export % has a job: cancel it first', export.batch_id using errcode = '22023';
    end if;
    if decision = 'confirmed' then
        perform raw_ops.settle_export(export_id, 'confirmed');
    else
        -- Whether the drop has the file is asked of the drop again: it knows the name and the hash.
        update raw_ops.export_outbox e
        set status = decision, sent_at = case when decision = 'cancelled' then e.sent_at end
        where e.id = export_id;
    end if;
    if decision = 'cancelled' then
        perform from raw_ops.orders o where o.id = any (export.order_ids) order by o.id for no key update;
        -- Shopify ended it when it was thought to be at the packer: only a person knows what it is now.
        update raw_ops.orders o
        set status = 'ALLOCATED', exported_at = null,
            export_state = case when exists (
                select from raw_ops.ops_events e where e.entity_id = o.id and e.kind = 'order_ended_late') then 'ended' end
        where o.id = any (export.order_ids) and o.status = 'EXPORTED' and o.export_state in ('queued', 'exported');
        insert into raw_ops.exceptions_queue (order_id, issue_type, issue_description, created_at)
        select o.id, 'export_ended', format('It left export %s, and Shopify has ended it meanwhile: end it here too', export.batch_id), engine.now()
        from raw_ops.orders o where o.id = any (export.order_ids) and o.export_state = 'ended';
    end if;
    perform raw_ops.log_event('EXPORT', export_id, 'EXPORT_DECIDED', format('%s decided: %s -> %s', decided_by, export.status, decision),
        jsonb_build_object('by', decided_by, 'before', export.status, 'after', decision), null, null);
    return export.status;
end
$$;

-- As 0158; without the parcel's number there is no parcel.
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
