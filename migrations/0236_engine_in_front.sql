-- A job whose worker died, and one that a worker gave back, goes on in front of its lane: its turn had come. At the end, where it
-- stood until now, it waited for the whole backlog once more.
-- In front means positions below zero, where no claimer's floor is: claims look there besides. Workers from before this migration do
-- not, so where only they know a kind its jobs wait there until a new one comes. Should all new ones be taken back:
-- update engine.ready set position = nextval('engine.position') where position < 0.
-- Locks: none that lasts.

create function engine.position_of_return(attempt integer) returns bigint
language sql volatile
as $$
    select nextval('engine.position') - case when $1 <= 10 then 4611686018427387904 else 0 end
$$;
comment on function engine.position_of_return(integer) is
    'Where a job stands in ready that was claimed and given back, and comes to this attempt: below zero, in front of all that was never claimed and behind what came back before. At the end from the eleventh attempt on, so that jobs which come back for ever do not keep all others waiting.';

-- Counts what stands in each lane, unless that was done less than `older_than_ms` ago; false when it was, or when
-- somebody else counts at this moment. A lane of more than 20,000 jobs, and what is no lane's, is counted again only
-- after twenty times as long as it took; in between its head is looked at.
-- It walks `ready` from the lane's floor, not over what claims left dead: engine/worker/floor.rs says why a floor holds.
-- Locks: one advisory lock; its own rows.
create or replace function engine.measure_figures(older_than_ms integer default 1000) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off
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
        select l.id, coalesce(f.floor, 0) as floor, f.ready, deep or coalesce(f.ready, 0) <= 20000 as whole
        from engine.lane l left join engine.lane_figures f on f.lane_id = l.id
    ),
    counted as (
        select l.id, h.position,
            case when l.whole then n.ready when coalesce(f.job_id, h.job_id) is null then 0 else l.ready end as ready,
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
            select (select count(*) from engine.ready r where r.lane_id = l.id and r.position < 0 and l.whole)
                + (select count(*) from engine.ready r where r.lane_id = l.id and r.position > l.floor and l.whole) as ready
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
            select s.lane_id, count(*) as scheduled from engine.scheduled s group by s.lane_id
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
