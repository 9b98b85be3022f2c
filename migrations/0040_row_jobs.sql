-- A row that asks for work becomes a job in the same transaction, whoever inserts it.
--
-- Tables with a state of their own are the business record; the engine's job is what works on it. One trigger function
-- serves them all: a table's trigger names the kind of its job, and comes with that kind.
--   raw_ops.enqueue_row(kind, queue, argument, column[, column of the time])
-- The argument and the unique key of the job are the row's value of that column, so a row has one live job however
-- often it is asked for. A row that is put back into a state that asks for work is a job again, so an operator
-- releases a suspected replay, or a request that was given up, by an update of its state.
-- The setting rawops.seeding, while it is on in a session, keeps that session's rows from becoming jobs.
-- Locks: share-row-exclusive on webhook_inbox and allocation_queue, for a moment.

-- Whether this session only fills tables.
create function raw_ops.is_seeding() returns boolean
language sql stable
as $$ select coalesce(nullif(current_setting('rawops.seeding', true), '')::boolean, false) $$;

create function raw_ops.enqueue_row() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp  -- Who may insert the row need not know the engine.
as $$
declare
    key text;
    due timestamptz;
begin
    if raw_ops.is_seeding() then
        return null;
    end if;
    -- Of the row only these columns are read: turned into JSON, it would carry whole documents along.
    execute format('select ($1).%I::text, %s', tg_argv[3],
                   case when tg_nargs > 4 then format('($1).%I', tg_argv[4]) else 'null' end)
        into key, due using new;
    perform engine.enqueue(tg_argv[0], jsonb_build_object(tg_argv[2], key),
        queue => tg_argv[1], unique_key => key, run_at => due);
    return null;
end
$$;
-- Whoever may attach it to a table of theirs may enqueue anything.
revoke execute on function raw_ops.enqueue_row() from public;

create trigger trg_enqueue_process_order
after insert or update of processing_status on raw_ops.webhook_inbox
for each row when (new.processing_status in ('pending', 'retrying') and new.source = 'shopify' and new.topic like 'orders/%')
execute function raw_ops.enqueue_row('orders.process_order', 'orders', 'inbox_id', 'id');

create trigger trg_enqueue_allocate_order
after insert or update of state on raw_ops.allocation_queue
for each row when (new.state = 'pending')
execute function raw_ops.enqueue_row('allocation.allocate_order', 'allocation', 'order_id', 'order_id');
