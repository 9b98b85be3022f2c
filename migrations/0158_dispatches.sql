-- Dispatches: what the packer says has left becomes parcels, and their stock leaves with them, once.
--
-- His file lies in the inbox of webhooks with the source `packer`, known by the hash of its bytes. It becomes rows of
-- dispatch_import_queue, each with a job of its own, so that one that fits no order stops no other; it stays there as failed
-- with its reason, and a person who has mended it sets it to `pending`. A parcel is known by its order and its number,
-- so rows may come again in later files.
-- Locks: share row exclusive on raw_ops.dead_letter_queue and raw_ops.dispatch_import_queue, for a moment. At run time: the row,
-- the order's parcels, the order, products, batches.

-- As 0147, with the packer's files.
create or replace function raw_ops.webhook_kind(source text, topic text) returns text
language sql immutable parallel safe
as $$
    select case
        when source = 'courier' then 'couriers.record_event'
        when source = 'packer' then 'dispatch.read_file'
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
    'customers.process_customer', 'customers.handle_privacy_request', 'couriers.record_event', 'dispatch.read_file'))
execute function raw_ops.follow_dead_letter($update$
    update raw_ops.webhook_inbox
    set processing_status = 'failed', processing_attempts = processing_attempts + coalesce(($1).attempts, 1),
        last_error = ($1).error_message, last_error_at = engine.now(), error_category = ($1).category, updated_at = engine.now()
    where id = (($1).payload ->> 'inbox_id')::uuid and processing_status <> 'success'
$update$);

alter table raw_ops.dispatch_import_queue
    add column file_id uuid references raw_ops.processed_3pl_files,
    add column line integer;
comment on column raw_ops.dispatch_import_queue.line is 'Of the file, counted from its first row on.';
create index dispatch_import_queue_file on raw_ops.dispatch_import_queue (file_id) where file_id is not null;

create trigger trg_enqueue_import_dispatch after update of processing_status on raw_ops.dispatch_import_queue
for each row when (new.processing_status = 'pending')
execute function raw_ops.enqueue_row('dispatch.import_dispatch', 'dispatch', 'row_id', 'id');
create trigger trg_enqueue_import_dispatch_new after insert on raw_ops.dispatch_import_queue
referencing new table as new_rows for each statement
execute function raw_ops.enqueue_row('dispatch.import_dispatch', 'dispatch', 'row_id', 'id', '', '', 'processing_status = ''pending''');

-- Tells people of rows that came to nothing; what comes in a window is counted.
create function raw_ops.warn_of_dispatch_rows(failed integer) returns void
language sql
as $$
    select raw_ops.raise_alert('warning', 'Rows of the packer that came to nothing',
        'They stand in dispatch_import_queue as failed, with their reasons. Mend them and set them to pending.',
        key => 'dispatch rows', source_check => 'dispatch', times => failed)
$$;

create trigger mark_dispatch_failed
after insert on raw_ops.dead_letter_queue
for each row when (new.topic = 'dispatch.import_dispatch')
execute function raw_ops.follow_dead_letter($update$
    with marked as (
        update raw_ops.dispatch_import_queue q set processing_status = 'failed', error_message = ($1).error_message
        where q.id = (($1).payload ->> 'row_id')::uuid and q.processing_status in ('pending', 'processing')
        returning q.id
    )
    select raw_ops.warn_of_dispatch_rows(1) from marked
$update$);

-- Stores a verified file of the packer: `enqueued`, or `duplicate` when its bytes are known. `headers` names it.
create function raw_ops.store_dispatch_file(headers text, body bytea, digest bytea) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into raw_ops.webhook_inbox
        (source, topic, webhook_id, raw_headers, raw_payload, raw_body, body_sha256, hmac_verified, received_at, created_at, updated_at)
    values ('packer', 'dispatch/file', 'sha256:' || encode(digest, 'hex'), headers::jsonb, 'null', body, digest, true,
            engine.now(), engine.now(), engine.now())
    on conflict (source, shop, webhook_id) do nothing;
    return case when found then 'enqueued' else 'duplicate' end;
end
$$;
revoke execute on function raw_ops.store_dispatch_file(text, bytea, bytea) from public;

-- Lays the rows of a file into the queue, and notes it as read. Of each row, in the file's order: the order's name at the
-- packer, what he says of it, and why it is no dispatch, if so. Returns `read`, or `known` when its hash was read before.
-- Locks: the inserted rows.
create function raw_ops.keep_dispatch_file(
    inbox_id uuid, file_name text, file_hash text, source text, refs text[], documents jsonb[], faults text[]
) returns text
language plpgsql
as $$
declare
    began timestamptz := clock_timestamp();  -- Elapsed work, not a date: the real clock even under a test clock.
    made uuid;
    failed integer;
begin
    insert into raw_ops.processed_3pl_files as f (file_name, file_hash, record_count, source, processed_at)
    values ($2, $3, cardinality(refs), $4, engine.now())
    on conflict on constraint processed_3pl_files_file_hash_key do nothing
    returning f.id into made;
    if made is not null then
        insert into raw_ops.dispatch_import_queue
            (external_order_id, dispatch_data, processing_status, error_message, file_id, line, created_at)
        select w.name, w.document, case when w.fault is null then 'pending' else 'failed' end, w.fault, made, w.line, engine.now()
        from unnest(refs, documents, faults) with ordinality w (name, document, fault, line)
        order by w.line;
        failed := cardinality(array_remove(faults, null));
        if failed > 0 then
            perform raw_ops.warn_of_dispatch_rows(failed);
        end if;
    end if;
    perform raw_ops.settle_webhook(inbox_id, began);
    return case when made is null then 'known' else 'read' end;
end
$$;

-- The one batch that a whole order is of, as far as it has not left; null when it is of several or of none.
create function raw_ops.only_batch_of(wanted_order uuid) returns uuid
language sql stable
as $$
    select case when count(distinct f.batch_id) = 1 then (array_agg(f.batch_id))[1] end from raw_ops.open_allocations(wanted_order) f
$$;

-- Notes that a parcel of an order has left, which must be new. Its stock leaves by the trigger of shipments.
-- Locks: the parcel's number, products, batches. The caller holds the order.
create function raw_ops.dispatch_parcel(shipped raw_ops.orders, said jsonb, left_at timestamptz) returns uuid
language plpgsql
as $$
declare
    made uuid;
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
    if shipped.status in ('PENDING', 'CANCELLED', 'REFUNDED') then
        insert into raw_ops.exceptions_queue (order_id, shipment_id, issue_type, issue_description, raw_data, created_at)
        values (shipped.id, made, 'dispatch_unexpected', format('The packer sent order %s, which is %s', shipped.external_order_ref,
            shipped.status), said, engine.now());
        perform from raw_ops.raise_alert('warning', 'The packer sent an order that he should not have',
            format('Order %s is %s and has left as parcel %s.', shipped.external_order_ref, shipped.status, said ->> 'tracking_no'),
            key => 'dispatch unexpected', source_check => 'dispatch');
    end if;
    return made;
end
$$;

-- Processes a row of the packer's. Returns the parcel, and `dispatched`; `known` when the parcel is there; `unmatched`, with
-- nothing written, when no order has the name; else the state the row is in, or `gone`. Errors: class 22 and 23 when what the
-- row says cannot be true.
create function raw_ops.process_dispatch_txn(row_id uuid) returns table (shipment_id uuid, outcome text)
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
