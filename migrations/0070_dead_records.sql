-- A job that died leaves its business record saying so, in the same transaction, whoever wrote the dead letter: the
-- worker that ran it, the sweeper that found its worker dead three times, or an operator.
--
-- One trigger a kind, which names the kind and gives the statement; $1 in it is the dead letter. While a failed job
-- waits for its next attempt the record keeps its state: the queue, not the record, knows of attempts.
-- Locks: share row exclusive on dead_letter_queue, for a moment.

create function raw_ops.follow_dead_letter()
returns trigger
language plpgsql
set search_path = pg_catalog
as $$
begin
    execute tg_argv[0] using new;
    return null;
exception when others then
    -- A record that cannot be marked, such as one whose key in the arguments is no key, must not keep the job alive.
    raise warning 'the record of dead letter % is not marked: %', new.id, sqlerrm;
    return null;
end
$$;
comment on function raw_ops.follow_dead_letter() is 'Runs the statement in its argument; $1 there is the dead letter.';

create trigger mark_webhook_failed
after insert on raw_ops.dead_letter_queue
for each row when (new.topic = 'orders.process_order')
execute function raw_ops.follow_dead_letter($update$
    update raw_ops.webhook_inbox
    set processing_status = 'failed', processing_attempts = processing_attempts + coalesce(($1).attempts, 1),
        last_error = ($1).error_message, last_error_at = engine.now(), error_category = ($1).category, updated_at = engine.now()
    where id = (($1).payload ->> 'inbox_id')::uuid and processing_status <> 'success'
$update$);
