-- What a person may still run again is not forgotten, and no partition keeps what has ended for ever.
--
-- A dead letter that nobody has dealt with is kept for ever, and a workflow's, requeued, goes on where it failed. But its job went
-- after ninety days with all that it had done, so that from then on it began anew: what it had paid it paid again, and one that
-- had begun anew as the same job had its first arguments. What undoes a cancelled workflow went after seven days, although the
-- letter of its undoing waited for a person, or its children had not stopped; then nothing was undone, and nobody heard of it.
-- Both stay until nobody waits for them.
--
-- A partition in which more than 100,000 jobs live is not dropped; now what has ended in it goes row by row. Rows of engine.restart
-- go with their job.
-- Locks: none that lasts. At run time as before, and rows of ended jobs.

-- Whether what a job that has ended did is wanted still: by an open letter, or by what undoes it.
create function engine.is_wanted(job_id bigint, outcome text) returns boolean
language sql stable
as $$
    select outcome in ('dead', 'cancelled') and exists (select from engine.step s where s.job_id = is_wanted.job_id) and (
        (outcome = 'dead' and exists (
            select from engine.dead_letter_queue d
            where d.job_id = is_wanted.job_id and not d.resolved and d.created_at >= engine.kept_since('open_letters')))
        or exists (select from engine.aftermath a where a.job_id = is_wanted.job_id)
        or (exists (select from engine.compensation c where c.job_id = is_wanted.job_id and c.undone_at is null) and (
            exists (select from engine.unique_key u where u.kind = 'engine.unwind' and u.key = is_wanted.job_id::text)
            or exists (
                select from engine.dead_letter_queue d
                where d.topic = 'engine.unwind' and d.unique_key = is_wanted.job_id::text and not d.resolved
                  and d.created_at >= engine.kept_since('open_letters')))))
$$;
comment on function engine.is_wanted(bigint, text) is 'Whether what a job that ended so did is wanted still, by an open dead letter or by what undoes it.';

-- Forgets jobs that have ended in one partition and are past their time.
create function engine.forget_ended_in(part text, batch integer) returns bigint
language plpgsql
set jit = off
as $$
declare
    past bigint[];
begin
    execute format($q$
        select array(
            select a.job_id from engine.%I a join engine.job j on j.id = a.job_id
            where ((a.outcome = 'completed' and a.finished_at < $2) or (a.outcome = 'cancelled' and a.finished_at < $3)
                or (a.outcome = 'dead' and a.finished_at < $4))
              and a.job_id not in (select u.id from engine.claim c cross join unnest(c.ids) u (id) where u.id is not null)
              and (j.parent_id is null or not exists (select from engine.job p where p.id = j.parent_id)
                   or exists (select from engine.attempt f where f.job_id = j.parent_id and f.outcome in ('completed', 'cancelled', 'dead')))
              and (a.outcome = 'completed' or not engine.is_wanted(a.job_id, a.outcome))
            limit $1)$q$, part)
        into past using batch, engine.kept_since('completed'), engine.kept_since('cancelled'), engine.kept_since('dead');
    -- The attempts first: a job of which they are left is a fault, and one without them is none that lives.
    delete from engine.attempt a where a.job_id = any (past);
    delete from engine.job j where j.id = any (past);
    delete from engine.step s where s.job_id = any (past);
    delete from engine.child_end e where e.parent_id = any (past);
    delete from engine.compensation c where c.job_id = any (past);
    delete from engine.restart r where r.job_id = any (past);
    return cardinality(past);
end
$$;

create or replace function engine.forget_ended(batch integer DEFAULT 1000) returns bigint
language plpgsql security definer
set jit = off
set search_path = pg_catalog, pg_temp
as $$
declare
    part text;
    gone bigint := 0;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('engine.forget_ended', 0)) then
        return 0;
    end if;
    for part in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'engine.attempt'::regclass
          and (c.relname !~ '^attempt_\d+$'
               or ((regexp_match(c.relname, '_(\d+)$'))[1]::bigint > (select p.last_value from engine.position p) and pg_relation_size(c.oid) > 0))
    loop
        gone := gone + engine.forget_ended_in(part, (batch - gone)::integer);
        exit when gone >= batch;
    end loop;
    return gone;
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
        -- What lives is moved with all locked, so it has to be little. Where it is not, what has ended goes row by row, however
        -- many still end there.
        select count(*) into living
        from (select from engine.place p where p.job_id >= low and p.job_id < bound limit 100001) p;
        if living > 100000 then
            perform engine.forget_ended_in(format('attempt_%s', bound), 10000);
            continue;
        end if;
        execute format($q$
            select exists (select from engine.attempt_%1$s a where a.outcome = 'completed' and a.finished_at >= $1)
                or exists (select from engine.attempt_%1$s a where a.outcome = 'cancelled' and a.finished_at >= $2)
            $q$, bound) into recent using engine.kept_since('completed'), engine.kept_since('cancelled');
        if not recent and engine.retire_partition(bound, true) >= 0 then
            return bound;
        end if;
    end loop;
    return null;
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
            select coalesce(array_agg(k.job_id), '{}') from (
                select a.job_id from engine.attempt_%1$s a
                where (a.outcome = 'completed' and a.finished_at >= $2) or (a.outcome = 'cancelled' and a.finished_at >= $3)
                    or (a.outcome = 'dead' and a.finished_at >= $4)
                    or (a.outcome in ('dead', 'cancelled') and engine.is_wanted(a.job_id, a.outcome))
                union
                select j.id from engine.job_%1$s j join engine.place p on p.job_id = j.parent_id
                limit 100001) k
            where k.job_id <> all ($1)$q$, bound)
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
