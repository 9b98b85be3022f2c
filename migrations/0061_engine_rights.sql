-- What processes with few rights need of the engine: partitions made ahead, and figures without the jobs themselves.
--
-- Only the owner of a table makes partitions of it. A worker calls extend_partitions, which acts with its owner's
-- rights and therefore bounds what it is asked for; partitions are dropped by the owner alone.
-- Locks: none that matter; functions are replaced, views are new.

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
        bound := bound + width;
        made := made + 1;
    end loop;
    return made;
end
$$;

create view engine.queue_figures as
select l.queue, coalesce(sum(r.depth), 0)::bigint as depth,
    coalesce(max(extract(epoch from engine.now() - j.created_at)), 0)::float8 as oldest_seconds
from engine.lane l
left join lateral (
    select count(*) as depth, min(job_id) as oldest from engine.ready where lane_id = l.id
) r on true
left join engine.job j on j.id = r.oldest
group by l.queue;
comment on view engine.queue_figures is 'Depth and oldest age of each queue.';

create view engine.attempt_figures as
select outcome, coalesce(category, '') as category, count(*) as ended
from engine.attempt
where finished_at > (select engine.now()) - interval '1 hour'
group by 1, 2;
comment on view engine.attempt_figures is 'Attempts that ended in the last hour, by outcome and category.';

create view engine.place_figures as
select
    (select count(*) from engine.scheduled) as scheduled,
    (select count(*) from engine.claim) as claims,
    (select count(*) from engine.dead_letter_queue where not resolved) as dead;
comment on view engine.place_figures is 'How many jobs stand elsewhere than in ready.';
