-- How long what has ended is kept, as live data, and the functions that let it go.
--
-- A partition goes as a whole once all that completed or was cancelled in it is past its time; what lives, and what is kept
-- longer, moves to the default partitions. Where so little happens that a partition fills for months, ended jobs go row by
-- row: few rows, so that what a deletion costs does not matter.
--
-- Why functions with their owner's rights: workers write the ledger once and change nothing in it. These let go what the
-- policy lets go and nothing else, and only operators edit the policy.
-- Locks: creates new objects; functions are replaced.

create table engine.retention (
    what text primary key check (what in
        ('completed', 'cancelled', 'dead', 'resolved_letters', 'open_letters', 'enqueue_keys', 'dead_workers')),
    kept interval check (kept between interval '1 hour' and interval '100 years'),
    says text not null,
    changed_at timestamptz,
    changed_by text
);
comment on table engine.retention is 'How long what has ended is kept. Live data: an edit decides the next act of the house.';
comment on column engine.retention.kept is 'Counted from its end; null: for ever.';
insert into engine.retention (what, kept, says) values
    ('completed', interval '7 days', 'Jobs that completed, with their attempts and outputs'),
    ('cancelled', interval '7 days', 'Jobs that were cancelled, with their attempts'),
    ('dead', interval '90 days', 'Jobs that died, with their attempts; their dead letters have rows of their own here'),
    ('resolved_letters', interval '365 days', 'Dead letters that were requeued or discarded'),
    ('open_letters', null, 'Dead letters that nobody has dealt with'),
    ('enqueue_keys', interval '7 days', 'Idempotency keys of producers: for so long an enqueue may be tried again'),
    ('dead_workers', interval '1 day', 'Workers that were declared dead');

-- What ended before this moment goes; -infinity when it is kept for ever.
create function engine.kept_since(what text) returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce((select engine.now() - r.kept from engine.retention r where r.what = $1), '-infinity')
$$;

create or replace function engine.extend_partitions(width bigint default 10000000, ahead bigint default 50000000) returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $$
declare
    bound bigint;
    last_id bigint;
    made integer := 0;
    brin regclass;
begin
    if width < 1000000 or ahead < width or ahead > 100 * width then
        raise exception 'partitions of % ids, % ahead: the width is a million or more, and 1 to 100 widths are made ahead', width, ahead
            using errcode = '22023';
    end if;
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
        for brin in select x.indexrelid from pg_index x join pg_class c on c.oid = x.indexrelid join pg_am a on a.oid = c.relam
            where x.indrelid = format('engine.attempt_%s', bound + width)::regclass and a.amname = 'brin'
        loop
            execute format('alter index %s set (autosummarize = on)', brin);
        end loop;
        bound := bound + width;
        made := made + 1;
    end loop;
    return made;
end
$$;

-- Drops the partitions of job and attempt that end at id `bound`. Jobs that live, and their attempts, move to the default
-- partitions, job_kept and attempt_kept; with `by_retention` those too that ended and are not past their time, and those
-- made by a job that lives. Returns how many were kept; when more than 100,000 would be that only the policy keeps, it
-- drops nothing and returns -1.
--
-- What takes long is done before the engine's tables are locked; then it waits 100 ms for a lock at most, so that a long
-- reader never makes claims queue up behind it: the call fails, changes nothing, and is tried again later.
drop function engine.retire_partition(bigint);
create function engine.retire_partition(bound bigint, by_retention boolean default false) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
set jit = off
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
    drop table kept_jobs, kept_attempts;
    return kept;
end
$$;
comment on function engine.retire_partition(bigint, boolean) is 'Drops a pair of partitions; what lives moves to the default ones.';

-- Drops the oldest pair of partitions that the policy lets go: full, and with nothing in it that completed or was
-- cancelled within its time. Returns the id at which it ended; null when there is none.
create function engine.drop_expired_partition() returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    bound bigint;
    recent boolean;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('engine.drop_expired_partition', 0)) then
        return null;
    end if;
    for bound in
        select (regexp_match(c.relname, '_(\d+)$'))[1]::bigint as ends_at
        from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'engine.job'::regclass and c.relname ~ '^job_\d+$'
          and (regexp_match(c.relname, '_(\d+)$'))[1]::bigint <= (select p.last_value from engine.position p)
        order by 1
    loop
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
comment on function engine.drop_expired_partition() is 'Drops the oldest pair of partitions that engine.retention lets go.';

-- Forgets up to `batch` ended jobs that are past their time, row by row: of the default partitions and of those that are
-- not full. What a claim still names stays, since a rescue asks for its attempts; so does what a living job has made.
create function engine.forget_ended(batch integer default 1000) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    part text;
    gone bigint := 0;
    past bigint[];
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
        execute format($q$
            select array(
                select a.job_id from engine.%I a join engine.job j on j.id = a.job_id
                where ((a.outcome = 'completed' and a.finished_at < $2) or (a.outcome = 'cancelled' and a.finished_at < $3)
                    or (a.outcome = 'dead' and a.finished_at < $4))
                  and a.job_id not in (select unnest(c.ids) from engine.claim c)
                  and (j.parent_id is null or not exists (select from engine.job p where p.id = j.parent_id)
                       or exists (select from engine.attempt f where f.job_id = j.parent_id and f.outcome in ('completed', 'cancelled', 'dead')))
                limit $1)$q$, part)
            into past using batch - gone, engine.kept_since('completed'), engine.kept_since('cancelled'), engine.kept_since('dead');
        -- The attempts first: a job of which they are left is a fault, and one without them is none that lives.
        delete from engine.attempt a where a.job_id = any (past);
        delete from engine.job j where j.id = any (past);
        gone := gone + cardinality(past);
        exit when gone >= batch;
    end loop;
    return gone;
end
$$;
comment on function engine.forget_ended(integer) is 'Forgets ended jobs that engine.retention lets go and no partition will take along soon.';

-- Forgets up to `batch` dead letters that are past their time. A letter stays as long as its job is in the ledger.
create function engine.forget_letters(batch integer default 1000) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    resolved_since timestamptz := engine.kept_since('resolved_letters');
    open_since timestamptz := engine.kept_since('open_letters');
    gone bigint;
begin
    with past as materialized (
        select d.id from engine.dead_letter_queue d
        where ((d.resolved and coalesce(d.resolved_at, d.created_at) < resolved_since)
            or (not d.resolved and d.created_at < open_since))
          and not exists (select from engine.job j where j.id = d.job_id)
        limit batch
    )
    delete from engine.dead_letter_queue d where d.id in (select p.id from past p);
    get diagnostics gone = row_count;
    return gone;
end
$$;
comment on function engine.forget_letters(integer) is 'Forgets dead letters that engine.retention lets go.';

-- Every table in which rows are replaced is swept by how much changed, not by how large it is.
alter table engine.unique_key set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);
alter table engine.enqueue_key set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);
alter table engine.cancel_request set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
alter table engine.worker set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_cost_delay = 0);
alter table engine.leader set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_cost_delay = 0);
alter table engine.progress set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
alter table engine.log_line set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);
alter table engine.step set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);
alter table engine.event set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
alter table engine.event_wait set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
alter table engine.topic set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
alter table engine.unique_period set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);
alter table engine.aftermath set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
alter table engine.child_end set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);
alter table engine.compensation set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
