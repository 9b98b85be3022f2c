-- Jobs that replace each other, that come once a period, that wait for the last of many calls, and that are dropped when stale.
--
-- The row of a job is never changed: to replace one is to cancel it and to make another, in one transaction.
-- Locks: three columns without a stored default are added under access exclusive for a moment; the rest is new or replaced.

alter table engine.job add column deadline timestamptz;
comment on column engine.job.deadline is 'After this moment no attempt of it begins: it is dropped instead, as cancelled of category deadline.';

alter table engine.unique_key add column since timestamptz;
comment on column engine.unique_key.since is 'When the first of the jobs that replaced each other was enqueued: what bounds a debounce.';

-- Beside unique_key, so that the end of a job need not know of periods.
create table engine.unique_period (
    kind text not null,
    key text not null,
    job_id bigint not null,
    until timestamptz not null,
    primary key (kind, key)
);
create index unique_period_until on engine.unique_period (until);
comment on table engine.unique_period is 'No second job of the key is made until then, whether this one lives or not.';

-- The unique key of a job that is known by its arguments: the same for the same JSON, however it was written.
create function engine.args_key(args jsonb) returns text
language sql immutable
as $$ select 'args ' || encode(sha256(convert_to(args::text, 'UTF8')), 'hex') $$;

-- Whether a worker holds the job and its attempt has not ended.
create function engine.is_running(job_id bigint) returns boolean
language sql
as $$
    select exists (
        select from engine.claim c, unnest(c.ids, c.attempts) u (id, attempt)
        where c.ids @> array[$1] and u.id = $1
          and not exists (select from engine.attempt a where a.job_id = u.id and a.attempt = u.attempt))
$$;

-- Gives job `new_id` the key (kind, key), or says which job has it: held_id is then not null and nothing was changed.
--
-- until_started: a holder that runs is no hindrance; it keeps running, and where it fails the newcomer stands for it.
-- replaces: a holder that has not started is cancelled. wait, at_most: a debounce, which does both; run_at is then
-- when the newcomer is due. A holder that has waited for at_most is left to run and a new wait begins.
-- Whoever ends a job locks its place and then its key, so this function never waits for a place with the key in its hands.
-- Locks: the key; the place of the job that is replaced.
create function engine.hold_unique_key(
    kind text, key text, new_id bigint, until_started boolean, replaces boolean, wait interval, at_most interval, period interval,
    out held_id bigint, out run_at timestamptz
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    at timestamptz := engine.now();
    chain timestamptz;
    holder engine.unique_key;
    replaced_id bigint;
    standing text;
begin
    for turn in 1..200 loop
        insert into engine.unique_key (kind, key, job_id, since)
        values ($1, $2, $3, case when wait is not null then coalesce(chain, at) end)
        on conflict do nothing;
        exit when found;
        if turn = 200 then
            raise exception 'unique key % of kind % changed hands 200 times: try again', $2, $1 using errcode = '40001';
        end if;
        select * into holder from engine.unique_key u where u.kind = $1 and u.key = $2;
        if not found then
            -- Its holder ended between the two statements: the key is free again.
            chain := null;
            continue;
        end if;
        held_id := holder.job_id;
        if not (until_started or replaces) then
            return;
        end if;

        if wait is not null and holder.since + at_most <= at then
            standing := 'overdue';
        elsif replaces then
            standing := engine.cancel_waiting(held_id, format('replaced by job %s', new_id));
        else
            standing := case
                when engine.is_running(held_id) then 'running'
                when not exists (
                    select from engine.attempt a where a.job_id = held_id and a.outcome in ('completed', 'cancelled', 'dead')) then 'pending'
            end;
        end if;
        case
            when standing = 'cancelled' then
                chain := holder.since;
                replaced_id := held_id;
            when standing = 'pending' or (standing = 'running' and not until_started) then
                return;
            when standing in ('running', 'overdue') then
                exit when engine.take_over_unique_key($1, $2, held_id, new_id, case when wait is not null then at end, standing = 'running');
            else
                -- It moves between two places at this moment, or its end is about to free the key.
                perform pg_sleep(0.002);
        end case;
    end loop;
    held_id := null;
    run_at := least(at + wait, coalesce(chain, at) + at_most);

    if period is not null then
        insert into engine.unique_period as p (kind, key, job_id, until)
        values ($1, $2, $3, at + period)
        on conflict on constraint unique_period_pkey do update set job_id = excluded.job_id, until = excluded.until
        where p.until <= at or p.job_id = replaced_id;
        if not found then
            delete from engine.unique_key u where u.kind = $1 and u.key = $2 and u.job_id = $3;
            select p.job_id into held_id from engine.unique_period p where p.kind = $1 and p.key = $2;
        end if;
    end if;
end
$$;

-- Hands a key from a job that runs, or will run whatever comes, to the job that comes after it; false when things had
-- changed by the time that the key was locked, and then the lock is let go.
-- Locks: the key.
create function engine.take_over_unique_key(kind text, key text, from_id bigint, to_id bigint, since timestamptz, runs boolean) returns boolean
language plpgsql
as $$
begin
    perform from engine.unique_key u where u.kind = $1 and u.key = $2 and u.job_id = from_id for update;
    if not found then
        return false;
    end if;
    -- The end of an attempt looks at the key, locks it for that, and decides by it whether the job comes back.
    if runs and not engine.is_running(from_id) then
        raise exception 'it runs no more' using errcode = 'RW098';
    end if;
    update engine.unique_key u set job_id = to_id, since = $5 where u.kind = $1 and u.key = $2;
    return true;
exception when sqlstate 'RW098' then
    return false;
end
$$;

drop function engine.enqueue(text, jsonb, text, smallint, timestamptz, text, text, text, text, smallint, bigint, text, uuid);

-- Enqueues one job in the caller's transaction.
--
-- Returns the job and whether this call made it. created is false when the idempotency key was used before (the job may
-- have ended), or when the unique key is held; id is then the job that holds it.
--
-- unique_key: one live job of the kind has it; unique_args: the arguments are the key. unique_for: nor does another come
-- within this time, whatever became of the first. unique_until_started: only until the job starts. replaces: a job that
-- holds the key and has not started is cancelled, and this one takes its place. debounce: this one waits that long, and
-- whoever comes meanwhile with the key replaces it and waits anew, but never longer than debounce_max after the first
-- (ten times debounce unless given). deadline: dropped if it has not started by then.
--
-- Errors: RW001 the idempotency key was used with other arguments; RW002 arguments are null; 22023 options that
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
    the_key text := case when enqueue.unique_args then engine.args_key(enqueue.args) else enqueue.unique_key end;
    starts timestamptz := enqueue.run_at;
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

    if the_key is not null then
        select h.held_id, coalesce(h.run_at, starts) into held_id, starts
        from engine.hold_unique_key(enqueue.kind, the_key, new_id, enqueue.unique_until_started or enqueue.debounce is not null,
            enqueue.replaces or enqueue.debounce is not null, enqueue.debounce,
            case when enqueue.debounce is not null then coalesce(enqueue.debounce_max, 10 * enqueue.debounce) end, enqueue.unique_for) h;
        if held_id is not null then
            update engine.enqueue_key k set job_id = held_id
            where k.producer = coalesce(enqueue.producer, '') and k.key = enqueue.idempotency_key;
            return query select held_id, false;
            return;
        end if;
    end if;

    lane := engine.lane_of(enqueue.queue, enqueue.kind, enqueue.priority);
    insert into engine.job (id, lane_id, max_attempts, created_at, args, unique_key, limit_key, parent_id, trace_parent, requeued_from, deadline)
    values (new_id, lane, enqueue.max_attempts, due, enqueue.args, the_key, enqueue.limit_key,
            enqueue.parent_id, enqueue.trace_parent, enqueue.requeued_from, enqueue.deadline);

    perform engine.put_in_place(new_id, lane, 1, case when starts > due then starts end, enqueue.limit_key);
    return query select new_id, true;
end
$$;

-- Forgets what these jobs snoozed but for the last sixteen times and the last ten minutes, in which a worker that lost the
-- answer to its COMMIT may still say again how an attempt ended: until then its row is the fence.
-- Locks: rows of the ledger that nobody writes any more.
create function engine.collapse_snoozes(job_ids bigint[]) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    gone bigint;
begin
    delete from engine.attempt a
    using (
        select i.job_id, max(l.attempt) as last
        from unnest(job_ids) i (job_id)
        join engine.attempt l on l.job_id = i.job_id
        group by i.job_id
    ) known
    where a.job_id = known.job_id and a.outcome = 'snoozed' and a.attempt <= known.last - 16
      and a.finished_at < engine.now() - interval '10 minutes'
      and not exists (select from engine.claim c, unnest(c.ids, c.attempts) u (id, attempt) where u.id = a.job_id and u.attempt = a.attempt);
    get diagnostics gone = row_count;
    return gone;
end
$$;
