-- How deep a queue is and how old its first job, told to whoever enqueues; and a limit above which a queue refuses.
--
-- Both are looked up in engine.lane_figures, which is a second old, and never counted: a million producers cost no more.
-- So a queue may come to hold a second's jobs more than its limit.
-- Locks: one column without a default is added under access exclusive for a moment; a function is replaced.

alter table engine.queue add column depth_limit bigint check (depth_limit > 0);
comment on column engine.queue.depth_limit is 'With so many jobs ready, it takes no more: RW020. Null: no limit.';

drop function engine.enqueue(text, jsonb, text, smallint, timestamptz, text, text, text, text, smallint, bigint, text, uuid,
    timestamptz, boolean, interval, boolean, boolean, interval, interval);

-- Enqueues one job in the caller's transaction.
--
-- Returns the job, whether this call made it, and how many jobs of its queue may run now and how long the first of them has
-- been there, as they were a second ago. created is false when the idempotency key was used before (the job may
-- have ended), or when the unique key is held; id is then the job that holds it.
--
-- unique_key: one live job of the kind has it; unique_args: the arguments are the key. unique_for: nor does another come
-- within this time, whatever became of the first. unique_until_started: only until the job starts. replaces: a job that
-- holds the key and has not started is cancelled, and this one takes its place. debounce: this one waits that long, and
-- whoever comes meanwhile with the key replaces it and waits anew, but never longer than debounce_max after the first
-- (ten times debounce unless given). deadline: dropped if it has not started by then.
--
-- Errors: RW020 the queue is full, by the limit that an operator gave it; RW001 the idempotency key was used with other arguments; RW002 arguments are null; 22023 options that
-- contradict each other; 40001 the key changed hands too often, or at a stricter isolation level since the transaction began.
create function engine.enqueue(
    kind text,
    args jsonb,
    queue text default 'default',
    priority smallint default 5,
    run_at timestamptz default null,
    unique_key text default null,
    producer text default null,
    idempotency_key text default null,
    limit_key text default null,
    max_attempts smallint default null,
    parent_id bigint default null,
    trace_parent text default null,
    requeued_from uuid default null,
    deadline timestamptz default null,
    unique_args boolean default false,
    unique_for interval default null,
    unique_until_started boolean default false,
    replaces boolean default false,
    debounce interval default null,
    debounce_max interval default null
) returns table (id bigint, created boolean, queue_depth bigint, queue_age_ms bigint)
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
            enqueue.parent_id, enqueue.trace_parent, enqueue.requeued_from, enqueue.deadline);

    perform engine.put_in_place(new_id, lane, 1, case when starts > due then starts end, enqueue.limit_key);
    return query select new_id, true, depth, age_ms;
end
$$;
