-- Faults that were found by reading.
-- 1. A job that replaces another, unique for a time: where the key's time was counted by a job that had ended, and another held the key
--    again (its dead letter was requeued), that one was cancelled and the new one not made.
-- 2. A partition that was dropped by retention, with more than 100,000 rows to keep, could lose those beyond the hundred thousandth, if one
--    of the first was of a job that lives.
-- 3. A workflow that was requeued or restarted while a child of it ended, which outlives its parent, could lose that end.
-- 4. A suspect did not wait for its limit key: neither while that was held, nor for its rate, and was none any more when that sent it back.
-- Locks: none that lasts. At run time: as before.

create or replace function engine.hold_unique_key(kind text, key text, new_id bigint, until_started boolean, replaces boolean, wait interval, at_most interval, period interval, OUT held_id bigint, OUT run_at timestamp with time zone) returns record
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    at timestamptz := engine.now();
    chain timestamptz;
    holder engine.unique_key;
    replaced_id bigint;
    standing text;
begin
    if until_started or replaces then
        perform pg_advisory_xact_lock(hashtextextended('engine.unique_key ' || $1 || ' ' || $2, 0));
    end if;
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
        where p.until <= at or replaced_id is not null;
        if not found then
            delete from engine.unique_key u where u.kind = $1 and u.key = $2 and u.job_id = $3;
            select p.job_id into held_id from engine.unique_period p where p.kind = $1 and p.key = $2;
        end if;
    end if;
end
$$;

create or replace function engine.retire_partition(bound bigint, by_retention boolean DEFAULT false) returns bigint
language plpgsql security definer
set jit = off
set lock_timeout = '100ms'
set search_path = pg_catalog, pg_temp
as $$
declare
    low bigint;
    living bigint[];
    ended bigint[] := '{}';
    kept bigint;
begin
    select (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''?(\d+)'))[1]::bigint into low
    from pg_class c where c.oid = format('engine.job_%s', bound)::regclass;
    -- Who has made a job of this range and not committed it is waited for. Nobody else comes: ids only grow.
    execute format('lock table engine.job_%s in share mode', bound);
    -- From here on jobs of this range end, and none begins. A claim that still stands is asked for its attempts, recorded or not.
    select coalesce(array_agg(distinct p.job_id), '{}') into living
    from (select job_id from engine.place union all select unnest(ids) from engine.claim) p
    where p.job_id >= low and p.job_id < bound;
    if by_retention then
        execute format($q$
            select coalesce(array_agg(k.job_id), '{}') from (select u.job_id from (
                select a.job_id from engine.attempt_%1$s a
                where (a.outcome = 'completed' and a.finished_at >= $2) or (a.outcome = 'cancelled' and a.finished_at >= $3)
                    or (a.outcome = 'dead' and a.finished_at >= $4)
                    or (a.outcome in ('dead', 'cancelled') and engine.is_wanted(a.job_id, a.outcome))
                union
                select j.id from engine.job_%1$s j join engine.place p on p.job_id = j.parent_id
                ) u
                where u.job_id <> all ($1)
                limit 100001) k$q$, bound)
            into ended using living, engine.kept_since('completed'), engine.kept_since('cancelled'), engine.kept_since('dead');
        if cardinality(ended) > 100000 then
            return -1;
        end if;
    end if;
    execute format('create temporary table kept_jobs on commit drop as select * from engine.job_%s where id = any ($1)', bound)
        using living || ended;
    execute format('create temporary table kept_attempts on commit drop as select * from engine.attempt_%s where job_id = any ($1)', bound)
        using ended;

    -- Parents first, as every other statement locks them: otherwise a claim that waits for the partition deadlocks with the drop.
    lock table only engine.job, only engine.attempt in access exclusive mode;
    execute format('lock table engine.job_kept, engine.attempt_kept, engine.job_%s, engine.attempt_%s in access exclusive mode', bound, bound);
    execute format('insert into kept_attempts select * from engine.attempt_%s where job_id = any ($1)', bound) using living;
    execute format('drop table engine.job_%s, engine.attempt_%s', bound, bound);
    insert into engine.job select * from kept_jobs;
    get diagnostics kept = row_count;
    insert into engine.attempt select * from kept_attempts;
    delete from engine.restart r where r.job_id >= low and r.job_id < bound and r.job_id not in (select k.id from kept_jobs k);
    drop table kept_jobs, kept_attempts;
    return kept;
end
$$;

create or replace function engine.inherit_steps(old bigint, fresh bigint, before integer) returns integer
language plpgsql
as $$
declare
    ended timestamptz;
    upto integer;
    inherited integer;
    base integer := coalesce((select s.position from engine.step s where s.job_id = old and s.kind = 'continue'), 0);
begin
    select a.finished_at into ended from engine.attempt a
    where a.job_id = old and a.outcome in ('completed', 'cancelled', 'dead');
    select least(before,
        (select min(c.position) from engine.child c where c.parent_id = old and not c.stays and c.position > base),
        (select min(e.position) from engine.child_end e where e.parent_id = old and e.position > base and e.outcome = 'cancelled' and e.ended_at >= ended))
    into upto;
    insert into engine.step (job_id, position, attempt, kind, name, begun_at, ended_at, until, key, event_id, result)
    select fresh, s.position, 0, s.kind, s.name, s.begun_at, s.ended_at, s.until, s.key, s.event_id, s.result
    from engine.step s where s.job_id = old and s.position < upto;
    get diagnostics inherited = row_count;
    -- First: whoever ends one at this moment is waited for, and the next statement sees that end.
    update engine.child c set parent_id = fresh where c.parent_id = old and c.stays and c.position < upto;
    insert into engine.child_end (parent_id, position, n, job_id, ended_at, outcome, category, error, output)
    select fresh, e.position, e.n, e.job_id, e.ended_at, e.outcome, e.category, e.error, e.output
    from engine.child_end e where e.parent_id = old and e.position < upto;
    insert into engine.compensation (job_id, position, n, queue, kind, priority, max_attempts, args)
    select fresh, c.position, c.n, c.queue, c.kind, c.priority, c.max_attempts, c.args
    from engine.compensation c where c.job_id = old and c.position < upto;
    return inherited;
end
$$;

create function engine.key_holds_back(suspect bigint) returns boolean
language sql stable
as $$
    select exists (
        select from engine.slot s
        cross join lateral engine.limit_of_key(s.limit_key) l
        join engine.job j on j.id = s.job_id
        join engine.lane n on n.id = j.lane_id
        left join engine.limit_setting k on k.scope = 'kind' and k.name = n.kind
        left join engine.pace p on p.limit_key = s.limit_key
        where s.job_id = $1 and (l.cap = 0 or (l.rate is not null and not s.charged
            and engine.rate_left(l.rate, l.per_ms, l.burst, p.free_at, engine.now()) < least(coalesce(k.weight, 1), l.burst))))
$$;
comment on function engine.key_holds_back(bigint) is 'Whether the limit key of a suspect is held, or its rate has nothing left for it.';
revoke all on function engine.key_holds_back(bigint) from public;
