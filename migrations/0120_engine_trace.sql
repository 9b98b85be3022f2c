-- The trace that a job, or an event, belongs to, as the header `traceparent` of W3C gives it.
--
-- What producers say is kept when it is such a header, and left out when it is not: a trace is no reason to refuse work.
-- Where they say nothing it is the setting `engine.trace_parent` of the transaction, so that what a trigger enqueues
-- belongs to the trace of whoever wrote the row. What is run again carries on the trace of what was run first.
--
-- Locks: access exclusive on engine.event, for a moment.

alter table engine.event add column trace_parent text;
comment on column engine.event.trace_parent is 'In whose trace it was emitted, as a header of W3C.';

-- What is given, else the transaction's setting, in the form of version 00; null when it is no header of W3C.
create function engine.trace_parent(given text) returns text
language sql stable
as $$
select '00-' || substring(coalesce($1, current_setting('engine.trace_parent', true)) from
    '^(?:00-(?=.{52}$)|(?!00|ff)[0-9a-f]{2}-(?=.{52}(?:-|$)))((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})')
$$;

create or replace function engine.emit(name text, key text, payload jsonb DEFAULT 'null'::jsonb, idempotency_key text DEFAULT NULL::text) returns TABLE(id bigint, created boolean, woken integer)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    made bigint;
    held jsonb;
    waiters bigint[];
begin
    if emit.name is null or emit.key is null or emit.payload is null then
        raise exception 'an event needs a name, a key and a payload: pass an empty key or a JSON null for none' using errcode = 'RW002';
    end if;
    insert into engine.topic (name, key, touched_at) values (emit.name, emit.key, engine.now())
    on conflict (name, key) do update set touched_at = excluded.touched_at;
    -- From here on nobody else is between looking and waiting: each statement sees all that came before.
    insert into engine.event (name, key, emitted_at, idempotency_key, payload, trace_parent)
    values (emit.name, emit.key, engine.now(), emit.idempotency_key, emit.payload, engine.trace_parent(null))
    on conflict do nothing
    returning event.id into made;
    if made is null then
        select e.id, e.payload into made, held from engine.event e
        where e.name = emit.name and e.key = emit.key and e.idempotency_key = emit.idempotency_key;
        if held <> emit.payload then
            raise exception 'idempotency key % was used before for event % with another payload: use a new key', emit.idempotency_key, made
                using errcode = 'RW001';
        end if;
        return query select made, false, 0;
        return;
    end if;
    with gone as (
        delete from engine.event_wait w where w.name = emit.name and w.key = emit.key returning w.job_id
    )
    select array_agg(g.job_id) into waiters from gone g;
    return query select made, true, engine.unpark(waiters);
end
$$;

create or replace function engine.enqueue(kind text, args jsonb, queue text DEFAULT 'default'::text, priority smallint DEFAULT 5, run_at timestamp with time zone DEFAULT NULL::timestamp with time zone, unique_key text DEFAULT NULL::text, producer text DEFAULT NULL::text, idempotency_key text DEFAULT NULL::text, limit_key text DEFAULT NULL::text, max_attempts smallint DEFAULT NULL::smallint, parent_id bigint DEFAULT NULL::bigint, trace_parent text DEFAULT NULL::text, requeued_from uuid DEFAULT NULL::uuid, deadline timestamp with time zone DEFAULT NULL::timestamp with time zone, unique_args boolean DEFAULT false, unique_for interval DEFAULT NULL::interval, unique_until_started boolean DEFAULT false, replaces boolean DEFAULT false, debounce interval DEFAULT NULL::interval, debounce_max interval DEFAULT NULL::interval) returns TABLE(id bigint, created boolean, queue_depth bigint, queue_age_ms bigint)
language plpgsql
as $$
#variable_conflict use_column
declare
    new_id bigint;
    held_id bigint;
    held_hash bytea;
    hash bytea;
    lane integer;
    due timestamptz := engine.now();
    the_key text := case when enqueue.unique_args then engine.args_key(enqueue.args) else enqueue.unique_key end;
    starts timestamptz := enqueue.run_at;
    depth bigint;
    age_ms bigint;
    most bigint;
begin
    if enqueue.args is null then
        raise exception 'a job of kind % needs arguments: pass {} for none', enqueue.kind using errcode = 'RW002';
    end if;
    if the_key is null and (enqueue.unique_for is not null or enqueue.unique_until_started or enqueue.replaces or enqueue.debounce is not null) then
        raise exception 'what a job of kind % is unique by is not said: pass unique_key or unique_args', enqueue.kind using errcode = '22023';
    end if;
    if enqueue.unique_for is not null and (enqueue.unique_until_started or enqueue.debounce is not null) then
        raise exception 'a job that is unique for a time is so whether it has started or not: leave out unique_until_started and debounce'
            using errcode = '22023';
    end if;
    if enqueue.debounce is not null and (enqueue.run_at is not null or enqueue.debounce <= interval '0' or enqueue.debounce_max < enqueue.debounce) then
        raise exception 'a debounce is a positive time, debounce_max no shorter, and run_at follows from them' using errcode = '22023';
    end if;

    select coalesce(sum(f.ready), 0), coalesce(1000 * extract(epoch from due - min(f.oldest_at)), 0) into depth, age_ms
    from engine.lane l join engine.lane_figures f on f.lane_id = l.id
    where l.queue = enqueue.queue;

    -- The claimers' floor trusts that whoever takes a position already has a transaction id.
    perform pg_current_xact_id();
    new_id := nextval('engine.position');

    if enqueue.idempotency_key is not null then
        hash := sha256(convert_to(enqueue.kind || ' ' || enqueue.args::text, 'UTF8'));
        insert into engine.enqueue_key (producer, key, job_id, args_hash)
        values (coalesce(enqueue.producer, ''), enqueue.idempotency_key, new_id, hash)
        on conflict do nothing;
        if not found then
            select k.job_id, k.args_hash into held_id, held_hash from engine.enqueue_key k
            where k.producer = coalesce(enqueue.producer, '') and k.key = enqueue.idempotency_key;
            if held_hash <> hash then
                raise exception 'idempotency key % was used before for job % with other arguments: use a new key',
                    enqueue.idempotency_key, held_id using errcode = 'RW001';
            end if;
            return query select held_id, false, depth, age_ms;
            return;
        end if;
    end if;

    if the_key is not null then
        select h.held_id, coalesce(h.run_at, starts) into held_id, starts
        from engine.hold_unique_key(enqueue.kind, the_key, new_id, enqueue.unique_until_started or enqueue.debounce is not null,
            enqueue.replaces or enqueue.debounce is not null, enqueue.debounce,
            case when enqueue.debounce is not null then coalesce(enqueue.debounce_max, 10 * enqueue.debounce) end, enqueue.unique_for) h;
        if held_id is not null then
            update engine.enqueue_key k set job_id = held_id
            where k.producer = coalesce(enqueue.producer, '') and k.key = enqueue.idempotency_key;
            return query select held_id, false, depth, age_ms;
            return;
        end if;
    end if;

    -- Whoever asks again for a job that is there was answered above.
    select q.depth_limit into most from engine.queue q where q.name = enqueue.queue;
    if depth >= most then
        raise exception 'queue % is full: % jobs of it are ready, and its limit is %', enqueue.queue, depth, most
            using errcode = 'RW020', hint = 'Try again when some have run, or let an operator raise the limit.';
    end if;

    lane := engine.lane_of(enqueue.queue, enqueue.kind, enqueue.priority);
    insert into engine.job (id, lane_id, max_attempts, created_at, args, unique_key, limit_key, parent_id, trace_parent, requeued_from, deadline)
    values (new_id, lane, enqueue.max_attempts, due, enqueue.args, the_key, enqueue.limit_key,
            enqueue.parent_id, engine.trace_parent(enqueue.trace_parent), enqueue.requeued_from, enqueue.deadline);

    perform engine.put_in_place(new_id, lane, 1, case when starts > due then starts end, enqueue.limit_key);
    return query select new_id, true, depth, age_ms;
end
$$;

create or replace function engine.enqueue_unwind(workflow bigint) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from engine.compensation c where c.job_id = workflow and c.undone_at is null) then
        perform e.id
        from engine.job j
        join engine.lane l on l.id = j.lane_id
        cross join lateral engine.enqueue('engine.unwind', jsonb_build_object('workflow', workflow::text), l.queue, l.priority,
            unique_key => workflow::text, parent_id => workflow, trace_parent => j.trace_parent) e
        where j.id = workflow;
    end if;
end
$$;

create or replace function engine.requeue_letter(letter uuid, asked_by text, new_args jsonb DEFAULT NULL::jsonb) returns bigint
language plpgsql security definer
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
        unique_key => dead.unique_key, limit_key => dead.limit_key, requeued_from => dead.id,
        trace_parent => (select j.trace_parent from engine.job j where j.id = dead.job_id)) e;
    if not fresh.created then
        raise exception 'dead letter % stays: job % holds its unique key and is still alive', $1, fresh.id
            using errcode = 'RW012', detail = fresh.id::text;
    end if;
    if $3 is null and dead.topic <> 'engine.unwind' and not exists (select from engine.compensation c where c.job_id = dead.job_id)
        and engine.inherit_steps(dead.job_id, fresh.id, 2147483647) > 0
    then
        insert into engine.restart (job_id, restarted_from, from_step, restarted_at, restarted_by)
        select fresh.id, dead.job_id, 1 + max(s.position), engine.now(), $2 from engine.step s where s.job_id = fresh.id;
    end if;
    update engine.dead_letter_queue d
    set resolved = true, resolved_at = engine.now(), resolved_by = $2, requeued_job_id = fresh.id,
        resolution = case when $3 is null then 'requeued' else 'requeued with other arguments' end
    where d.id = $1;
    return fresh.id;
end
$$;

create or replace function engine.restart_workflow(workflow bigint, from_step integer, asked_by text) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    old record;
    fresh record;
begin
    select j.id, j.state, j.queue, j.kind, j.priority, j.args, j.unique_key, j.limit_key, d.max_attempts, d.trace_parent, w.steps into old
    from engine.job_state j
    join engine.job d on d.id = j.id
    cross join lateral (select count(*)::integer as steps from engine.step s where s.job_id = j.id) w
    where j.id = workflow;
    if old.id is null or old.steps = 0 then
        raise exception 'there is no workflow %', workflow using errcode = 'RW020';
    end if;
    if old.state not in ('completed', 'cancelled', 'dead') then
        raise exception 'workflow % is %: cancel it first', workflow, old.state using errcode = 'RW021';
    end if;
    if from_step not between 1 and old.steps + 1 then
        raise exception 'workflow % has % steps: restart it from step 1 to %', workflow, old.steps, old.steps + 1 using errcode = 'RW022';
    end if;
    if from_step > 1 and (exists (select from engine.compensation c where c.job_id = workflow and c.position < from_step)
            and old.state <> 'completed') then
        raise exception 'what workflow % did is undone, or will be: restart it from step 1', workflow using errcode = 'RW023';
    end if;
    select e.id, e.created into fresh
    from engine.enqueue(old.kind, old.args, old.queue, old.priority, unique_key => old.unique_key, limit_key => old.limit_key,
        max_attempts => old.max_attempts, trace_parent => old.trace_parent) e;
    if not fresh.created then
        raise exception 'job % holds the unique key of workflow % and is still alive', fresh.id, workflow using errcode = 'RW012';
    end if;
    perform engine.inherit_steps(workflow, fresh.id, from_step);
    insert into engine.restart (job_id, restarted_from, from_step, restarted_at, restarted_by)
    values (fresh.id, workflow, from_step, engine.now(), asked_by);
    return fresh.id;
end
$$;
