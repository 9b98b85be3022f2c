-- One rule for the names of queues and kinds and for limit keys, asked wherever a new one comes in: a queue called ` ` or `a\nb` could be
-- made and hardly be seen, paused or served. What is there already stays usable. A name is checked when its first lane is made, a limit
-- key with each job that has one.
-- Locks: nothing.

create function engine.checked_name(what text, name text) returns text
language plpgsql immutable strict
as $$
begin
    if name = '' or octet_length(name) > 500 or name ~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]'
        or name ~ '^[\s\u00a0\u3000\ufeff]|[\s\u00a0\u3000\ufeff]$'
    then
        raise exception '% %: a name has 1 to 500 bytes, no control character, and no blank at either end', what, to_json(left(name, 60))
            using errcode = '22023';
    end if;
    return name;
end
$$;
comment on function engine.checked_name(text,text) is 'The name of a queue or a kind, or a limit key; refuses what is none.';

create or replace function engine.lane_of(queue text, kind text, priority smallint) returns integer
language plpgsql
as $$
declare
    found_id integer;
begin
    select l.id into found_id from engine.lane l
    where l.queue = lane_of.queue and l.kind = lane_of.kind and l.priority = lane_of.priority;
    if found_id is null then
        insert into engine.lane (queue, kind, priority)
        values (engine.checked_name('queue', lane_of.queue), engine.checked_name('kind', lane_of.kind), lane_of.priority)
        on conflict do nothing;
        select l.id into found_id from engine.lane l
        where l.queue = lane_of.queue and l.kind = lane_of.kind and l.priority = lane_of.priority;
    end if;
    return found_id;
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

create or replace function engine.pause_work(scope text, name text, asked_by text, reason text DEFAULT NULL::text, starts_at timestamp with time zone DEFAULT NULL::timestamp with time zone, ends_at timestamp with time zone DEFAULT NULL::timestamp with time zone) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    at timestamptz := engine.now();
    made bigint;
begin
    if pause_work.scope is null or pause_work.scope not in ('queue', 'kind', 'key') or pause_work.name is null then
        raise exception 'a pause is of a queue, a kind or a key, which has a name' using errcode = '22023';
    end if;
    perform engine.checked_name(case pause_work.scope when 'key' then 'limit key' else pause_work.scope end, pause_work.name);
    if pause_work.ends_at <= greatest(at, coalesce(pause_work.starts_at, at)) then
        raise exception 'the pause would end at %, before it begins', pause_work.ends_at using errcode = '22023';
    end if;
    insert into engine.pause (scope, name, starts_at, ends_at, paused_by, reason)
    values (pause_work.scope, pause_work.name, coalesce(pause_work.starts_at, at), pause_work.ends_at, pause_work.asked_by, pause_work.reason)
    returning id into made;
    if pause_work.scope = 'key' and coalesce(pause_work.starts_at, at) <= at then
        with back as (
            delete from engine.ready r using engine.slot s
            where s.job_id = r.job_id and r.position <> r.job_id
              and (s.limit_key = pause_work.name
                   or (right(pause_work.name, 1) = '*' and starts_with(s.limit_key, left(pause_work.name, -1))))
            returning r.job_id, r.lane_id, r.attempt, s.limit_key
        ),
        -- Its own id is a position that nobody else can have, and before all that came later.
        waits as (
            insert into engine.waiting (position, job_id, lane_id, attempt, limit_key)
            select b.job_id, b.job_id, b.lane_id, b.attempt, b.limit_key from back b
        )
        delete from engine.slot where job_id in (select b.job_id from back b);
    end if;
    return made;
end
$$;
