-- Whoever enqueued in SQL and named no queue got `default`, which no worker of the kind may serve: a program's producers and the HTTP API
-- take the kind's own queue and priority. Workers write these down when they begin, and engine.enqueue takes them from there.
-- Locks: none that lasts. At run time: a worker's own kinds, where it says something new of them.

create table engine.kind (
    name text not null,
    queue text not null,
    priority smallint not null,
    declared_at timestamptz not null default engine.now(),
    constraint kind_pkey primary key (name),
    constraint kind_priority_check check (priority between 0 and 9)
);
comment on table engine.kind is 'Where jobs of a kind go unless their producer says otherwise, as the worker said that began last. A kind that no worker knows yet goes to the queue default.';

create or replace function engine.enqueue(kind text, args jsonb, queue text DEFAULT NULL::text, priority smallint DEFAULT NULL::smallint, run_at timestamp with time zone DEFAULT NULL::timestamp with time zone, unique_key text DEFAULT NULL::text, producer text DEFAULT NULL::text, idempotency_key text DEFAULT NULL::text, limit_key text DEFAULT NULL::text, max_attempts smallint DEFAULT NULL::smallint, parent_id bigint DEFAULT NULL::bigint, trace_parent text DEFAULT NULL::text, requeued_from uuid DEFAULT NULL::uuid, deadline timestamp with time zone DEFAULT NULL::timestamp with time zone, unique_args boolean DEFAULT false, unique_for interval DEFAULT NULL::interval, unique_until_started boolean DEFAULT false, replaces boolean DEFAULT false, debounce interval DEFAULT NULL::interval, debounce_max interval DEFAULT NULL::interval) returns TABLE(id bigint, created boolean, queue_depth bigint, queue_age_ms bigint)
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

    -- Programs say both, so that only callers in SQL pay for this.
    if enqueue.queue is null or enqueue.priority is null then
        select coalesce(enqueue.queue, k.queue, 'default'), coalesce(enqueue.priority, k.priority, 5::smallint) into queue, priority
        from (select 1) one left join engine.kind k on k.name = enqueue.kind;
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
