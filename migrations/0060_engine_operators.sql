-- What operators do, as functions with their owner's rights.
--
-- A role that could cancel and requeue with statements of its own would have to be able to delete from every place of
-- a job and to write the ledger. It may call these instead. `asked_by` is who acts, for the record.
-- Locks: creates new objects only.

-- Asks a job to stop; false when there is none. Commit it before cancel_waiting is called, so that whoever moves the job
-- from then on sees the request.
create function engine.ask_cancel(job_id bigint, asked_by text, reason text default null) returns boolean
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    with asked as (
        insert into engine.cancel_request (job_id, requested_by, reason)
        select $1, $2, $3 where exists (select from engine.job where id = $1)
        on conflict (job_id) do update set job_id = excluded.job_id
        returning 1
    )
    select exists (select from asked)
$$;

-- Takes a job out of ready or scheduled and ends it as cancelled, with these words in the ledger.
-- Returns where it stands: `cancelled` (by this call), `running`, `already` and its end, or null while it moves between
-- places. The request of a job that had ended is taken back.
-- Locks: the job's place.
create function engine.cancel_waiting(job_id bigint, words text) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    standing text;
begin
    with place as (
        delete from engine.ready r using engine.job j
        where j.id = $1 and r.job_id = $1 and ((r.lane_id = j.lane_id and r.position = $1) or r.position <> r.job_id)
        returning r.attempt
    ),
    later as (
        delete from engine.scheduled s where s.job_id = $1 returning s.attempt
    ),
    ended as (
        insert into engine.attempt (job_id, attempt, started_at, finished_at, outcome, error)
        select $1, p.attempt, engine.now(), engine.now(), 'cancelled', $2
        from (select attempt from place union all select attempt from later) p
        on conflict do nothing
        returning 1
    ),
    freed as (
        delete from engine.unique_key u where u.job_id = $1 and exists (select from ended)
    ),
    answered as (
        delete from engine.cancel_request r where r.job_id = $1 and exists (select from ended)
    )
    select case
        when exists (select from ended) then 'cancelled'
        when exists (
            select from engine.claim c, unnest(c.ids, c.attempts) u (id, attempt)
            where c.ids @> array[$1] and u.id = $1
              and not exists (select from engine.attempt a where a.job_id = u.id and a.attempt = u.attempt)) then 'running'
        else (
            select 'already ' || a.outcome from engine.attempt a
            where a.job_id = $1 and a.outcome in ('completed', 'cancelled', 'dead')
            limit 1)
    end into standing;
    if standing like 'already %' then
        delete from engine.cancel_request r where r.job_id = $1;
    end if;
    return standing;
end
$$;

-- The open dead letter of this id, locked so that two operators cannot both act on it.
-- Errors: RW010 when there is none, RW011 when it is resolved, with how as the detail.
create function engine.lock_letter(letter uuid) returns engine.dead_letter_queue
language plpgsql
as $$
declare
    found_letter engine.dead_letter_queue;
begin
    select * into found_letter from engine.dead_letter_queue d where d.id = $1 for update;
    if not found then
        raise exception 'there is no dead letter %', $1 using errcode = 'RW010';
    end if;
    if found_letter.resolved then
        raise exception 'dead letter % is resolved already', $1
            using errcode = 'RW011', detail = coalesce(found_letter.resolution, 'no reason was kept');
    end if;
    return found_letter;
end
$$;

-- Runs a dead letter's job again, as a new job with a clean count of attempts; `new_args` replaces its arguments.
-- Returns the new job. Errors: those of lock_letter; RW012 when a live job holds the letter's unique key, with that job
-- as the detail; RW013 when the letter is of no job of the engine.
create function engine.requeue_letter(letter uuid, asked_by text, new_args jsonb default null) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    dead engine.dead_letter_queue := engine.lock_letter($1);
    fresh record;
begin
    if dead.job_id is null then
        raise exception 'dead letter % has no job of this engine to run again', $1 using errcode = 'RW013';
    end if;
    select e.id, e.created into fresh
    from engine.enqueue(dead.topic, coalesce($3, dead.payload), coalesce(dead.queue, 'default'), coalesce(dead.priority, 5::smallint),
        unique_key => dead.unique_key, limit_key => dead.limit_key, requeued_from => dead.id) e;
    if not fresh.created then
        raise exception 'dead letter % stays: job % holds its unique key and is still alive', $1, fresh.id
            using errcode = 'RW012', detail = fresh.id::text;
    end if;
    update engine.dead_letter_queue d
    set resolved = true, resolved_at = engine.now(), resolved_by = $2, requeued_job_id = fresh.id,
        resolution = case when $3 is null then 'requeued' else 'requeued with other arguments' end
    where d.id = $1;
    return fresh.id;
end
$$;

-- Puts a dead letter away for good, for a reason that stays with it. Errors: those of lock_letter.
create function engine.discard_letter(letter uuid, asked_by text, reason text) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform engine.lock_letter($1);
    update engine.dead_letter_queue d
    set resolved = true, resolved_at = engine.now(), resolved_by = $2, resolution = $3
    where d.id = $1;
end
$$;
