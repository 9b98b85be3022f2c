-- One list of the places a job can stand in, and one function that puts a new job into its place.
--
-- Why: who drops partitions, who checks the ledger and who enqueues must agree about places, and places are added.
-- Locks: none that matter; functions are replaced, the view is new.

-- A claim holds a job only until its attempt is recorded.
create view engine.place as
select job_id, attempt, 'ready' as name from engine.ready
union all
select job_id, attempt, 'scheduled' from engine.scheduled
union all
select u.job_id, u.attempt, format('claim %s of worker %s', c.id, c.worker_id)
from engine.claim c, unnest(c.ids, c.attempts) u (job_id, attempt)
where not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt);
comment on view engine.place is 'Every place that a job stands in, and the attempt that comes next there. Reads every place whole.';

-- Puts a job of which the row has been made into its place: at `run_at`, or ready now when that is null.
create function engine.put_in_place(job_id bigint, lane_id integer, attempt integer, run_at timestamptz, limit_key text) returns void
language plpgsql
as $$
begin
    if put_in_place.run_at is not null then
        insert into engine.scheduled (run_at, job_id, lane_id, attempt)
        values (put_in_place.run_at, put_in_place.job_id, put_in_place.lane_id, put_in_place.attempt);
    else
        -- A new job stands at its own id; one that returns enters at the right edge.
        insert into engine.ready (lane_id, position, job_id, attempt)
        values (put_in_place.lane_id,
                case when put_in_place.attempt = 1 then put_in_place.job_id else nextval('engine.position') end,
                put_in_place.job_id, put_in_place.attempt);
        perform engine.wake();
    end if;
end
$$;

-- Enqueues one job in the caller's transaction.
--
-- Returns the job and whether this call made it. created is false when the idempotency key was used before
-- (the job may have ended) or when a live job holds the unique key. The same idempotency key with other
-- arguments is an error of SQLSTATE RW001.
create or replace function engine.enqueue(
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

    perform engine.put_in_place(new_id, lane, 1, case when enqueue.run_at > due then enqueue.run_at end, enqueue.limit_key);
    return query select new_id, true;
end
$$;

-- Drops the partitions of job and attempt that end at id `bound`. Jobs that still live, and their attempts, move to
-- the default partitions, job_kept and attempt_kept. Returns how many jobs were kept. Waits 100 ms for a lock at most, so that a long reader
-- never makes claims queue up behind it: then the call fails, changes nothing, and is tried again later.
create or replace function engine.retire_partition(bound bigint) returns bigint
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
    -- A claim that still stands is asked for its attempts, recorded or not.
    select coalesce(array_agg(distinct p.job_id), '{}') into live
    from (select job_id from engine.place union all select unnest(ids) from engine.claim) p
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
