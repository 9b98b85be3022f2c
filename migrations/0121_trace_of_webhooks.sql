-- A webhook's job belongs to the trace that its request came with: deliveries are stored many at a time, so each row says it.
--
-- Arguments of the trigger: kind, queue, argument, column[, column of the time or ''[, column of the request's headers]]
--
-- Locks: share row exclusive on raw_ops.webhook_inbox, for a moment.

create or replace function raw_ops.enqueue_row() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    key text;
    due timestamptz;
    trace text;
begin
    if raw_ops.is_seeding() then
        return null;
    end if;
    -- Of the row only these columns are read: turned into JSON, it would carry whole documents along.
    execute format('select ($1).%I::text, %s, %s', tg_argv[3],
                   case when tg_argv[4] <> '' then format('($1).%I', tg_argv[4]) else 'null' end,
                   case when tg_argv[5] <> '' then format('($1).%I ->> ''traceparent''', tg_argv[5]) else 'null' end)
        into key, due, trace using new;
    perform engine.enqueue(tg_argv[0], jsonb_build_object(tg_argv[2], key),
        queue => tg_argv[1], unique_key => key, run_at => due, trace_parent => trace);
    return null;
end
$$;

create or replace trigger trg_enqueue_process_order after insert or update of processing_status on raw_ops.webhook_inbox
for each row when (new.processing_status in ('pending', 'retrying') and new.source = 'shopify' and new.topic like 'orders/%')
execute function raw_ops.enqueue_row('orders.process_order', 'orders', 'inbox_id', 'id', '', 'raw_headers');
