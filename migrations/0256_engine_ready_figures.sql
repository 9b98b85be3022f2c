-- Of more than 20,000 jobs that are ready in a lane each was counted, though rarely: ten million took seconds, in which all figures stood
-- still. Now a lane is counted as far as 20,001, and what goes beyond is an estimate by some pages of the table, as what runs at a time is.

create function engine.estimate_jobs(place regclass) returns table (lane_id integer, jobs bigint, seen bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    most_pages constant bigint := 2000;
    pages bigint := pg_relation_size(place) / current_setting('block_size')::bigint;
begin
    if pages > most_pages then
        -- The same pages each time, so that the figure moves when the jobs do.
        return query execute format(
            'select s.lane_id, round(count(*) * $1)::bigint, count(*) from %s s tablesample system ($2) repeatable (0) group by s.lane_id',
            place)
            using pages::numeric / most_pages, (100.0 * most_pages / pages)::real;
    end if;
end
$$;
comment on function engine.estimate_jobs(regclass) is 'About how many jobs of each lane are in a place, by 2,000 pages of its table, and how many were seen there. Nothing, where it has no more pages.';

create or replace function engine.count_scheduled() returns table (lane_id integer, jobs bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
        with estimate as materialized (select * from engine.estimate_jobs('engine.scheduled'))
        select e.lane_id, e.jobs from estimate e where (select sum(seen) from estimate) >= 5000;
    if not found then
        -- A table that was large once has few rows in many pages: those are quickly passed over.
        return query select s.lane_id, count(*) from engine.scheduled s group by s.lane_id;
    end if;
end
$$;

create or replace function engine.measure_figures(older_than_ms integer default 1000) returns boolean
language plpgsql security definer
set jit = off
set search_path = pg_catalog, pg_temp
as $$
declare
    was engine.measured;
    at timestamptz := engine.now();
    position_now bigint;
    xmin_now bigint;
    xmax_now bigint;
    deep boolean;
    begun timestamptz;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('engine.measure_figures', 0)) then
        return false;
    end if;
    select * into was from engine.measured;
    -- A moment after now was written before the clock was set back.
    if was.measured_at between at - older_than_ms * interval '1 millisecond' and at then
        return false;
    end if;

    -- The position first: whoever was given one by now has an id below the snapshot's end.
    select p.last_value into position_now from engine.position p;
    select pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint into xmin_now, xmax_now from pg_current_snapshot() s;
    if xmin_now >= was.mark_xid then
        was.safe_position := was.mark_position;
        was.mark_position := position_now;
        was.mark_xid := xmax_now;
    end if;

    deep := was.deep_at is null or at not between was.deep_at and was.deep_at + 20 * was.deep_ms * interval '1 millisecond';
    begun := clock_timestamp();
    with lane as materialized (
        select l.id, coalesce(f.floor, 0) as floor, f.ready, deep or coalesce(f.ready, 0) <= 20000 as counts
        from engine.lane l left join engine.lane_figures f on f.lane_id = l.id
    ),
    -- Made only if it is asked for.
    estimate as materialized (
        select e.lane_id, e.jobs from engine.estimate_jobs('engine.ready') e where e.seen >= 10000
    ),
    counted as (
        select l.id, h.position,
            case
                when l.counts and n.ready <= 20000 then n.ready
                when l.counts then greatest(n.ready, coalesce((select e.jobs from estimate e where e.lane_id = l.id),
                    (select count(*) from engine.ready r where r.lane_id = l.id and r.position < 0)
                        + (select count(*) from engine.ready r where r.lane_id = l.id and r.position > l.floor)))
                when coalesce(f.job_id, h.job_id) is null then 0
                else l.ready
            end as ready,
            greatest(l.floor, least(coalesce(h.position - 1, was.safe_position), was.safe_position)) as floor,
            (select j.created_at from engine.job j where j.id = coalesce(f.job_id, h.job_id)) as oldest_at
        from lane l
        left join lateral (
            select r.job_id from engine.ready r where r.lane_id = l.id and r.position < 0 order by r.position limit 1
        ) f on true
        left join lateral (
            select r.position, r.job_id from engine.ready r where r.lane_id = l.id and r.position > l.floor order by r.position limit 1
        ) h on true
        cross join lateral (
            select count(*) as ready
            from (select from engine.ready r where r.lane_id = l.id and r.position < 0 and l.counts
                  union all
                  select from engine.ready r where r.lane_id = l.id and r.position > l.floor and l.counts
                  limit 20001) r
        ) n
    )
    insert into engine.lane_figures as f (lane_id, ready, floor, oldest_at)
    select c.id, c.ready, c.floor, c.oldest_at from counted c
    on conflict (lane_id) do update set ready = excluded.ready, floor = excluded.floor, oldest_at = excluded.oldest_at
    where (f.ready, f.floor, f.oldest_at) is distinct from (excluded.ready, excluded.floor, excluded.oldest_at);
    if deep then
        was.deep_at := at;
        was.deep_ms := 1000 * extract(epoch from clock_timestamp() - begun);
    end if;

    if was.slow_at is null or at not between was.slow_at and was.slow_at + 20 * was.slow_ms * interval '1 millisecond' then
        begun := clock_timestamp();
        with counted as materialized (
            select s.lane_id, s.jobs as scheduled from engine.count_scheduled() s
        )
        update engine.lane_figures f set scheduled = n.scheduled
        from (select g.lane_id, coalesce(c.scheduled, 0) as scheduled
              from engine.lane_figures g left join counted c on c.lane_id = g.lane_id) n
        where n.lane_id = f.lane_id and n.scheduled <> f.scheduled;
        select count(*), coalesce(sum(cardinality(c.ids)), 0) into was.claims, was.claimed from engine.claim c;
        select count(*) into was.dead from engine.dead_letter_queue d where not d.resolved;
        was.slow_at := at;
        was.slow_ms := 1000 * extract(epoch from clock_timestamp() - begun);
    end if;

    update engine.measured m
    set measured_at = at, safe_position = was.safe_position, mark_position = was.mark_position, mark_xid = was.mark_xid,
        deep_at = was.deep_at, deep_ms = was.deep_ms, slow_at = was.slow_at, slow_ms = was.slow_ms,
        claims = was.claims, claimed = was.claimed, dead = was.dead;
    return true;
end
$$;

comment on column engine.lane_figures.ready is 'Jobs that may run now; of more than 20,000 an estimate by some pages of the table, where these have ten thousand of them.';
