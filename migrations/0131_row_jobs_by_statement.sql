-- Rows that are inserted together become jobs together: a trigger a statement instead of one a row. And the bodies of
-- webhooks are compressed by the quicker method, where the server has it.
--
-- Arguments of the trigger function: kind, queue, argument, column[, column of the time or ''[, column of the request's
-- headers or ''[, of a statement's trigger: which rows]]]
--
-- Locks: share row exclusive on five tables, access exclusive on raw_ops.webhook_inbox, for a moment.

create or replace function raw_ops.enqueue_row() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    -- Of a row only these columns are read: turned into JSON, it would carry whole documents along.
    row_key text := format('r.%I::text', tg_argv[3]);
    row_due text := case when tg_argv[4] <> '' then format('r.%I', tg_argv[4]) else 'null::timestamptz' end;
    row_trace text := case when tg_argv[5] <> '' then format('r.%I ->> ''traceparent''', tg_argv[5]) else 'null::text' end;
    keys text[];
    args jsonb[];
    due timestamptz[];
    traces text[];
begin
    if raw_ops.is_seeding() then
        return null;
    end if;
    if tg_level = 'ROW' then
        execute format('select array[%s], array[%s], array[%s] from (select ($1).*) r', row_key, row_due, row_trace)
            into keys, due, traces using new;
    else
        execute format('select array_agg(%s), array_agg(%s), array_agg(%s) from new_rows r where %s', row_key, row_due, row_trace, tg_argv[6])
            into keys, due, traces;
    end if;
    if keys is not null then
        select array_agg(jsonb_build_object(tg_argv[2], key) order by n) into args from unnest(keys) with ordinality u (key, n);
        perform engine.enqueue_each(tg_argv[0], tg_argv[1], args, keys, due, traces);
    end if;
    return null;
end
$$;

create or replace trigger trg_enqueue_post_alert after update of delivery_status on raw_ops.alert_log
for each row when (new.delivery_status = 'pending')
execute function raw_ops.enqueue_row('alerts.post_alert', 'alerts', 'alert_id', 'id');
create trigger trg_enqueue_post_alert_new after insert on raw_ops.alert_log
referencing new table as new_rows for each statement
execute function raw_ops.enqueue_row('alerts.post_alert', 'alerts', 'alert_id', 'id', '', '', 'delivery_status = ''pending''');

create or replace trigger trg_enqueue_allocate_order after update of state on raw_ops.allocation_queue
for each row when (new.state = 'pending')
execute function raw_ops.enqueue_row('allocation.allocate_order', 'allocation', 'order_id', 'order_id');
create trigger trg_enqueue_allocate_order_new after insert on raw_ops.allocation_queue
referencing new table as new_rows for each statement
execute function raw_ops.enqueue_row('allocation.allocate_order', 'allocation', 'order_id', 'order_id', '', '', 'state = ''pending''');

create or replace trigger trg_enqueue_track_event after update of status on raw_ops.lifecycle_events
for each row when (new.status = 'pending')
execute function raw_ops.enqueue_row('lifecycle.track_event', 'lifecycle', 'event_id', 'id', 'scheduled_for');
create trigger trg_enqueue_track_event_new after insert on raw_ops.lifecycle_events
referencing new table as new_rows for each statement
execute function raw_ops.enqueue_row('lifecycle.track_event', 'lifecycle', 'event_id', 'id', 'scheduled_for', '', 'status = ''pending''');

create or replace trigger trg_enqueue_deliver_message after update of state on raw_ops.outbox
for each row when (new.state = 'pending')
execute function raw_ops.enqueue_row('outbox.deliver_message', 'outbox', 'outbox_id', 'id');
create trigger trg_enqueue_deliver_message_new after insert on raw_ops.outbox
referencing new table as new_rows for each statement
execute function raw_ops.enqueue_row('outbox.deliver_message', 'outbox', 'outbox_id', 'id', '', '', 'state = ''pending''');

create or replace trigger trg_enqueue_process_order after update of processing_status on raw_ops.webhook_inbox
for each row when (new.processing_status in ('pending', 'retrying') and new.source = 'shopify' and new.topic like 'orders/%')
execute function raw_ops.enqueue_row('orders.process_order', 'orders', 'inbox_id', 'id', '', 'raw_headers');
create trigger trg_enqueue_process_order_new after insert on raw_ops.webhook_inbox
referencing new table as new_rows for each statement
execute function raw_ops.enqueue_row('orders.process_order', 'orders', 'inbox_id', 'id', '', 'raw_headers',
    'processing_status in (''pending'', ''retrying'') and source = ''shopify'' and topic like ''orders/%''');

-- A body of 4 KB is compressed twice, as bytes and as jsonb: half of what storing it cost.
do $$
begin
    alter table raw_ops.webhook_inbox alter column raw_payload set compression lz4, alter column raw_body set compression lz4;
exception when feature_not_supported or invalid_parameter_value then
    raise notice 'this server was built without lz4: webhooks are compressed by pglz';
end
$$;
