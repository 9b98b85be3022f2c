-- What SQL calls: enqueue from any language or trigger, and partitions made ahead.
--
-- Only what producers and housekeeping need is a function; the workers' statements are prepared texts in
-- engine/sql, because a function of language sql is planned anew at each call before PostgreSQL 18.
-- Locks: a new partition needs the default ones for itself for a moment; it waits 100 ms for them at most.

-- The lane of a queue, kind and priority; made at first use.
create function engine.lane_of(queue text, kind text, priority smallint) returns integer
language plpgsql
as $$
declare
    found_id integer;
begin
    select l.id into found_id from engine.lane l
    where l.queue = lane_of.queue and l.kind = lane_of.kind and l.priority = lane_of.priority;
    if found_id is null then
        insert into engine.lane (queue, kind, priority)
        values (lane_of.queue, lane_of.kind, lane_of.priority)
        on conflict do nothing;
        select l.id into found_id from engine.lane l
        where l.queue = lane_of.queue and l.kind = lane_of.kind and l.priority = lane_of.priority;
    end if;
    return found_id;
end
$$;

-- Wakes sleeping workers. Busy workers need no notice, and NOTIFY costs a busy database most of its commits.
create function engine.wake() returns void
language plpgsql
as $$
begin
    if exists (select from engine.idle) then
        perform pg_notify('rawops', '');
    end if;
end
$$;

-- Enqueues one job in the caller's transaction.
--
-- Returns the job and whether this call made it. created is false when the idempotency key was used before
-- (the job may have ended) or when a live job holds the unique key. The same idempotency key with other
-- arguments is an error of SQLSTATE RW001.
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
    requeued_from uuid default null
) returns table (id bigint, created boolean)
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
begin
    if enqueue.args is null then
        raise exception 'a job of kind % needs arguments: pass {} for none', enqueue.kind using errcode = 'RW002';
    end if;

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
            return query select held_id, false;
            return;
        end if;
    end if;

    if enqueue.unique_key is not null then
        for turn in 1..100 loop
            insert into engine.unique_key (kind, key, job_id)
            values (enqueue.kind, enqueue.unique_key, new_id)
            on conflict (kind, key) do nothing;
            exit when found;
            select u.job_id into held_id from engine.unique_key u
            where u.kind = enqueue.kind and u.key = enqueue.unique_key;
            if found then
                update engine.enqueue_key k set job_id = held_id
                where k.producer = coalesce(enqueue.producer, '') and k.key = enqueue.idempotency_key;
                return query select held_id, false;
                return;
            end if;
            -- Its holder ended between the two statements: the key is free again.
            if turn = 100 then
                raise exception 'unique key % of kind % changed hands 100 times: try again',
                    enqueue.unique_key, enqueue.kind using errcode = '40001';
            end if;
        end loop;
    end if;

    lane := engine.lane_of(enqueue.queue, enqueue.kind, enqueue.priority);
    insert into engine.job (id, lane_id, max_attempts, created_at, args, unique_key, limit_key, parent_id, trace_parent, requeued_from)
    values (new_id, lane, enqueue.max_attempts, due, enqueue.args, enqueue.unique_key, enqueue.limit_key,
            enqueue.parent_id, enqueue.trace_parent, enqueue.requeued_from);

    if enqueue.run_at > due then
        insert into engine.scheduled (run_at, job_id, lane_id, attempt) values (enqueue.run_at, new_id, lane, 1);
    else
        insert into engine.ready (lane_id, position, job_id, attempt) values (lane, new_id, new_id, 1);
        perform engine.wake();
    end if;
    return query select new_id, true;
end
$$;

-- Makes the partitions of job and attempt that hold the ids up to `ahead` past today's last one.
-- Returns how many pairs were made.
create function engine.extend_partitions(width bigint default 10000000, ahead bigint default 50000000) returns integer
language plpgsql
set lock_timeout = '100ms'
as $$
declare
    bound bigint;
    last_id bigint;
    made integer := 0;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('engine.extend_partitions', 0)) then
        return 0;
    end if;
    select p.last_value into last_id from engine.position p;
    select coalesce(max((regexp_match(c.relname, '_(\d+)$'))[1]::bigint) filter (where c.relname ~ '_\d+$'), 0) into bound
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'engine.job'::regclass;
    if bound >= last_id + ahead then
        return 0;
    end if;
    -- Ids that outran the partitions stand in the default ones and stay there: the next range begins past them.
    select greatest(bound, (max(k.id) / width + 1) * width) into bound
    from (select id from engine.job_kept where id >= bound union all select job_id from engine.attempt_kept where job_id >= bound) k;
    while bound < last_id + ahead loop
        execute format('create table engine.job_%s partition of engine.job for values from (%s) to (%s)',
                       bound + width, bound, bound + width);
        execute format('create table engine.attempt_%s partition of engine.attempt for values from (%s) to (%s)',
                       bound + width, bound, bound + width);
        bound := bound + width;
        made := made + 1;
    end loop;
    return made;
end
$$;

select engine.extend_partitions();

-- Drops the partitions of job and attempt that end at id `bound`. Jobs that still live, and their attempts, move to
-- the default partitions, job_kept and attempt_kept. Returns how many jobs were kept. Waits 100 ms for a lock at most, so that a long reader
-- never makes claims queue up behind it: then the call fails, changes nothing, and is tried again later.
create function engine.retire_partition(bound bigint) returns bigint
language plpgsql
set lock_timeout = '100ms'
as $$
declare
    low bigint;
    live bigint[];
    kept bigint;
begin
    select (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''?(\d+)'))[1]::bigint into low
    from pg_class c where c.oid = format('engine.job_%s', bound)::regclass;
    -- Parents first, as every other statement locks them: otherwise a claim that waits for the partition deadlocks with the drop.
    lock table only engine.job, only engine.attempt in access exclusive mode;
    execute format('lock table engine.job_kept, engine.attempt_kept, engine.job_%s, engine.attempt_%s in access exclusive mode', bound, bound);
    select coalesce(array_agg(p.job_id), '{}') into live
    from (
        select job_id from engine.ready union all
        select job_id from engine.scheduled union all
        select unnest(ids) from engine.claim
    ) p
    where p.job_id >= low and p.job_id < bound;
    execute format('create temporary table kept_jobs on commit drop as select * from engine.job_%s where id = any ($1)', bound) using live;
    execute format('create temporary table kept_attempts on commit drop as select * from engine.attempt_%s where job_id = any ($1)', bound) using live;
    execute format('drop table engine.job_%s, engine.attempt_%s', bound, bound);
    insert into engine.job select * from kept_jobs;
    get diagnostics kept = row_count;
    insert into engine.attempt select * from kept_attempts;
    drop table kept_jobs, kept_attempts;
    return kept;
end
$$;
