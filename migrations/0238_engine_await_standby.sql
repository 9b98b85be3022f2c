-- An answer that says of something that it is there already wrote nothing, and a commit that wrote nothing waits for no standby. After a
-- crash of the primary what was asked for may be there without having come to the standby: whoever asked again was told of it, and with
-- the standby's promotion it was gone. Now whoever is told so waits until the standby has it.
-- Locks: none that lasts. At run time: none more.

create function engine.await_standby() returns void
language plpgsql
as $$
begin
    -- Without one nothing is waited for, and the log is not made to be flushed.
    if current_setting('synchronous_standby_names') <> '' and not pg_is_in_recovery() then
        perform pg_logical_emit_message(true, 'rawops', '');
    end if;
end
$$;
comment on function engine.await_standby() is
    'The commit of this transaction waits as one that wrote would: until the synchronous standby has all that it has read.';
revoke all on function engine.await_standby() from public;

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
    perform engine.checked_name('limit key', enqueue.limit_key);
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
            perform engine.await_standby();
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
            perform engine.await_standby();
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

create or replace function engine.enqueue_each(kind text, queue text, args jsonb[], unique_keys text[], run_at timestamp with time zone[] DEFAULT NULL::timestamp with time zone[], trace_parents text[] DEFAULT NULL::text[]) returns bigint
language plpgsql
as $$
#variable_conflict use_column
declare
    at timestamptz := engine.now();
    lane integer;
    depth bigint;
    most bigint;
    made bigint;
    any_ready boolean;
begin
    if array_position(enqueue_each.args, null) is not null then
        raise exception 'a job of kind % needs arguments: pass {} for none', enqueue_each.kind using errcode = 'RW002';
    end if;
    -- The claimers' floor trusts that whoever takes a position already has a transaction id.
    perform pg_current_xact_id();
    lane := engine.lane_of(enqueue_each.queue, enqueue_each.kind, 5::smallint);

    with new as materialized (
        select n, nextval('engine.position') as id, u.args, u.unique_key, u.trace_parent, case when u.run_at > at then u.run_at end as run_at
        from unnest(enqueue_each.args, enqueue_each.unique_keys, enqueue_each.run_at, enqueue_each.trace_parents)
            with ordinality u (args, unique_key, run_at, trace_parent, n)
    ),
    keyed as (
        insert into engine.unique_key (kind, key, job_id)
        select enqueue_each.kind, unique_key, id from new where unique_key is not null
        order by unique_key, n
        on conflict (kind, key) do nothing
        returning job_id
    ),
    fresh as materialized (
        select * from new where unique_key is null or id in (select job_id from keyed)
    ),
    described as (
        insert into engine.job (id, lane_id, created_at, args, unique_key, trace_parent)
        select id, lane, at, args, unique_key, engine.trace_parent(trace_parent) from fresh
    ),
    now_ready as (
        insert into engine.ready (lane_id, attempt, position, job_id)
        select lane, 1, id, id from fresh where run_at is null
    ),
    later as (
        insert into engine.scheduled (run_at, job_id, lane_id, attempt, keyed)
        select run_at, id, lane, 1, false from fresh where run_at is not null
    )
    select count(*), bool_or(run_at is null) into made, any_ready from fresh;

    -- Whoever asks again for jobs that are there is not refused.
    select q.depth_limit into most from engine.queue q where q.name = enqueue_each.queue;
    if made > 0 and most is not null then
        select coalesce(sum(f.ready), 0) into depth
        from engine.lane l join engine.lane_figures f on f.lane_id = l.id where l.queue = enqueue_each.queue;
        if depth >= most then
            raise exception 'queue % is full: % jobs of it are ready, and its limit is %', enqueue_each.queue, depth, most
                using errcode = 'RW020', hint = 'Try again when some have run, or let an operator raise the limit.';
        end if;
    end if;
    if any_ready then
        perform engine.wake();
    end if;
    if made = 0 then
        perform engine.await_standby();
    end if;
    return made;
end
$$;
