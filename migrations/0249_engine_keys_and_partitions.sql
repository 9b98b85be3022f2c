-- Who is told that a job waits with its unique key keeps it from starting until he commits: what he wrote would otherwise be seen by nobody.
-- A workflow that has begun is not replaced, which undid it. And a partition with more deaths than may be moved is swept row by row: it was
-- neither dropped nor swept. Children of a workflow that completed go on, so who restarts it behind them has them, and makes no others.
-- Locks: none that lasts. At run time: as before, and the place of a job that is unique until it starts.

create function engine.hold_in_place(job_id bigint) returns boolean
language plpgsql
as $$
begin
    -- In front, where claims look for what comes back: further behind they may have passed it by then.
    update engine.ready r set position = engine.position_of_return(r.attempt) from engine.job j
    where j.id = $1 and r.job_id = $1 and ((r.lane_id = j.lane_id and r.position = $1) or r.position <> r.job_id);
    if found then
        perform engine.wake();
        return true;
    end if;
    perform from engine.scheduled s where s.job_id = $1 for key share;
    if found then
        return true;
    end if;
    perform from engine.waiting w where w.job_id = $1 and (w.position = $1 or w.position <> w.job_id) for key share;
    if found then
        return true;
    end if;
    perform from engine.parked p where p.job_id = $1 for key share;
    return found;
end
$$;
comment on function engine.hold_in_place(bigint) is
    'Whether a job waits to run, and keeps it from that until the transaction ends.';
revoke all on function engine.hold_in_place(bigint) from public;

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
        elsif replaces and exists (select from engine.step s where s.job_id = held_id) then
            standing := 'begun';
        elsif replaces then
            standing := engine.cancel_waiting(held_id, format('replaced by job %s', new_id));
        else
            standing := case
                when engine.is_running(held_id) then 'running'
                when engine.hold_in_place(held_id) then 'pending'
            end;
        end if;
        case
            when standing = 'cancelled' then
                chain := holder.since;
                replaced_id := held_id;
            when standing = 'pending' or (standing in ('running', 'begun') and not until_started) then
                return;
            when standing in ('running', 'begun', 'overdue') then
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

create or replace function engine.drop_expired_partition() returns bigint
language plpgsql security definer
set jit = off
set search_path = pg_catalog, pg_temp
as $$
declare
    low bigint;
    bound bigint;
    living bigint;
    recent boolean;
    old boolean;
    swept boolean := false;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('engine.drop_expired_partition', 0)) then
        return null;
    end if;
    for low, bound in
        select (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''?(\d+)'))[1]::bigint,
            (regexp_match(c.relname, '_(\d+)$'))[1]::bigint as ends_at
        from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'engine.job'::regclass and c.relname ~ '^job_\d+$'
          and (regexp_match(c.relname, '_(\d+)$'))[1]::bigint <= (select p.last_value from engine.position p)
        order by 2
    loop
        execute format($q$
            select exists (select from engine.attempt_%1$s a where a.outcome = 'completed' and a.finished_at >= $1)
                or exists (select from engine.attempt_%1$s a where a.outcome = 'cancelled' and a.finished_at >= $2)
            $q$, bound) into recent using engine.kept_since('completed'), engine.kept_since('cancelled');
        if recent then
            -- One in which jobs end for longer than any is kept is not expected to be dropped soon.
            execute format('select (select created_at from engine.job_%s order by id limit 1) < $1', bound)
                into old using least(engine.kept_since('completed'), engine.kept_since('cancelled'), engine.kept_since('dead'));
            if old and not swept then
                swept := engine.forget_ended_in(format('attempt_%s', bound), 10000) > 0;
            end if;
            continue;
        end if;
        -- What lives is moved with all locked, so it has to be little. Where it is not, what has ended goes row by row. Counted only
        -- now: each place is read whole for it.
        select count(*) into living
        from (select from engine.place p where p.job_id >= low and p.job_id < bound limit 100001) p;
        if living <= 100000 and engine.retire_partition(bound, true) >= 0 then
            return bound;
        end if;
        -- More lives or is kept, such as deaths, than may be moved: what need not be kept goes row by row.
        if not swept then
            swept := engine.forget_ended_in(format('attempt_%s', bound), 10000) > 0;
        end if;
    end loop;
    return null;
end
$$;

create or replace function engine.inherit_steps(old bigint, fresh bigint, before integer) returns integer
language plpgsql
as $$
declare
    ended timestamptz;
    -- Nobody stops the children of one that completed.
    completed boolean;
    upto integer;
    inherited integer;
    base integer := coalesce((select s.position from engine.step s where s.job_id = old and s.kind = 'continue'), 0);
begin
    select a.finished_at, a.outcome = 'completed' into ended, completed from engine.attempt a
    where a.job_id = old and a.outcome in ('completed', 'cancelled', 'dead');
    select least(before,
        (select min(c.position) from engine.child c where c.parent_id = old and not (c.stays or completed) and c.position > base),
        (select min(e.position) from engine.child_end e where e.parent_id = old and e.position > base and e.outcome = 'cancelled' and e.ended_at >= ended))
    into upto;
    insert into engine.step (job_id, position, attempt, kind, name, begun_at, ended_at, until, key, event_id, result)
    select fresh, s.position, 0, s.kind, s.name, s.begun_at, s.ended_at, s.until, s.key, s.event_id, s.result
    from engine.step s where s.job_id = old and s.position < upto;
    get diagnostics inherited = row_count;
    -- First: whoever ends one at this moment is waited for, and the next statement sees that end.
    update engine.child c set parent_id = fresh where c.parent_id = old and (c.stays or completed) and c.position < upto;
    insert into engine.child_end (parent_id, position, n, job_id, ended_at, outcome, category, error, output)
    select fresh, e.position, e.n, e.job_id, e.ended_at, e.outcome, e.category, e.error, e.output
    from engine.child_end e where e.parent_id = old and e.position < upto;
    insert into engine.compensation (job_id, position, n, queue, kind, priority, max_attempts, args, limit_key)
    select fresh, c.position, c.n, c.queue, c.kind, c.priority, c.max_attempts, c.args, c.limit_key
    from engine.compensation c where c.job_id = old and c.position < upto;
    return inherited;
end
$$;
