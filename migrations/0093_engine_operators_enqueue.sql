-- An operator runs a schedule now, without the right to enqueue.
--
-- Locks: creates one function only.

-- Makes a job of a schedule and notes both as one occurrence of `at`, by hand of `asked_by`. The caller has locked the
-- schedule, and says what its job is; a schedule that is not known here has none.
-- Returns what engine.enqueue does. Errors: RW014 when there is no such schedule; those of engine.enqueue.
create function engine.run_schedule(
    schedule text, at timestamptz, asked_by text, note text,
    kind text, args jsonb, queue text, priority smallint, unique_key text, max_attempts smallint
) returns table (id bigint, created boolean, queue_depth bigint, queue_age_ms bigint)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
    made record;
begin
    if not exists (select from engine.schedule s where s.name = schedule) then
        raise exception 'there is no schedule %', schedule using errcode = 'RW014';
    end if;
    select * into made from engine.enqueue(kind, args, queue, priority, unique_key => unique_key, max_attempts => max_attempts) e;
    insert into engine.occurrence (schedule, occurrence, job_id, how, by, note)
    values (schedule, at, made.id, 'manual', asked_by,
        case when made.created then note else 'no new job: this one holds the unique key' end);
    return query select made.id, made.created, made.queue_depth, made.queue_age_ms;
end
$$;
