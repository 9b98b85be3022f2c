-- Figures that cost the same at ten jobs and at ten million, and the duties of the house with their health.
--
-- Counting `ready` at each scrape, and for each enqueue that asks how deep its queue is, costs as much as the backlog is
-- deep. So one process counts, once a second, into a row a lane, and everybody looks up. What takes long to count is
-- counted less often: at most a twentieth of the time goes into it.
-- Locks: creates new objects; three views and one function are replaced, each under access exclusive for a moment.

create table engine.lane_figures (
    lane_id integer primary key,
    ready bigint not null default 0,
    floor bigint not null default 0,
    oldest_at timestamptz,
    scheduled bigint not null default 0
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);
comment on table engine.lane_figures is 'How many jobs stand in each lane; engine.measure_figures keeps it.';
comment on column engine.lane_figures.floor is 'Nothing stands at or below this position of `ready`, and nothing can come there.';
comment on column engine.lane_figures.oldest_at is 'When the job at the head of the lane was enqueued.';

-- What all measurements share, and the figures that are no lane's.
create table engine.measured (
    one boolean primary key default true check (one),
    measured_at timestamptz,
    safe_position bigint not null default 0,
    mark_position bigint not null default 0,
    mark_xid bigint not null default 0,
    deep_at timestamptz,
    deep_ms double precision not null default 0,
    slow_at timestamptz,
    slow_ms double precision not null default 0,
    claims bigint not null default 0,
    claimed bigint not null default 0,
    dead bigint not null default 0,
    rolled_to timestamptz
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);
insert into engine.measured default values;
comment on table engine.measured is 'One row: when figures were measured, and those of the whole engine.';
comment on column engine.measured.safe_position is 'No transaction that is open can still add a position up to here.';
comment on column engine.measured.deep_ms is 'How long the last count of deep lanes took; the next comes after twenty times as long.';
comment on column engine.measured.claimed is 'Jobs in claims: those that run and those of batches that are not closed yet.';
comment on column engine.measured.rolled_to is 'Attempts that finished up to here are in engine.attempt_minute.';

create table engine.attempt_minute (
    minute timestamptz not null,
    outcome text not null,
    category text not null,
    ended bigint not null,
    primary key (minute, outcome, category)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);
comment on table engine.attempt_minute is 'Attempts that ended in each minute of the last two days, by outcome and category.';

-- Counts what stands in each lane, unless that was done less than `older_than_ms` ago; false when it was, or when
-- somebody else counts at this moment. A lane of more than 20,000 jobs, and what is no lane's, is counted again only
-- after twenty times as long as it took; in between its head is looked at.
-- It walks `ready` from the lane's floor, not over what claims left dead: engine/worker/floor.rs says why a floor holds.
-- Locks: one advisory lock; its own rows.
create function engine.measure_figures(older_than_ms integer default 1000) returns boolean
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
            case when l.whole then n.ready when h.position is null then 0 else l.ready end as ready,
            greatest(l.floor, least(coalesce(h.position - 1, was.safe_position), was.safe_position)) as floor,
            (select j.created_at from engine.job j where j.id = h.job_id) as oldest_at
        from lane l
        left join lateral (
            select r.position, r.job_id from engine.ready r where r.lane_id = l.id and r.position > l.floor order by r.position limit 1
        ) h on true
        cross join lateral (
            select count(*) as ready from engine.ready r where r.lane_id = l.id and r.position > l.floor and l.whole
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
comment on function engine.measure_figures(integer) is 'Counts what stands in each lane into engine.lane_figures, unless somebody did so a moment ago.';

-- Adds the attempts that ended since the last time to their minutes; returns how many. It stays two seconds behind the
-- clock, so that what commits late is counted too.
-- Locks: one advisory lock; its own rows. Index: attempt_finished.
create function engine.roll_up_attempts() returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    from_at timestamptz;
    to_at timestamptz := engine.now() - interval '2 seconds';
    added bigint;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('engine.roll_up_attempts', 0)) then
        return 0;
    end if;
    select coalesce(m.rolled_to, to_at - interval '1 hour') into from_at from engine.measured m;
    -- After the clock was set back, wait for it for a minute; then go by it.
    if from_at > to_at and from_at < to_at + interval '1 minute' then
        return 0;
    end if;
    with ended as (
        select date_trunc('minute', a.finished_at) as minute, a.outcome, coalesce(a.category, '') as category, count(*) as ended
        from engine.attempt a
        where a.finished_at > from_at and a.finished_at <= to_at
        group by 1, 2, 3
    ),
    noted as (
        insert into engine.attempt_minute as m (minute, outcome, category, ended)
        select e.minute, e.outcome, e.category, e.ended from ended e
        on conflict (minute, outcome, category) do update set ended = m.ended + excluded.ended
    )
    select coalesce(sum(e.ended), 0)::bigint into added from ended e;
    update engine.measured set rolled_to = to_at;
    delete from engine.attempt_minute m where m.minute < to_at - interval '2 days';
    return added;
end
$$;
comment on function engine.roll_up_attempts() is 'Counts the attempts that ended since it was called last into engine.attempt_minute.';

create or replace view engine.queue_figures as
select l.queue, coalesce(sum(f.ready), 0)::bigint as depth,
    greatest(coalesce(extract(epoch from (select engine.now()) - min(f.oldest_at)), 0), 0)::float8 as oldest_seconds,
    coalesce(sum(f.scheduled), 0)::bigint as scheduled
from engine.lane l
left join engine.lane_figures f on f.lane_id = l.id
group by l.queue;
comment on view engine.queue_figures is 'Depth and oldest age of each queue, as last measured.';

create or replace view engine.attempt_figures as
select outcome, category, sum(ended)::bigint as ended
from engine.attempt_minute
where minute > (select engine.now()) - interval '1 hour'
group by 1, 2;
comment on view engine.attempt_figures is 'Attempts that ended in the last hour, by outcome and category.';

create or replace view engine.place_figures as
select
    (select coalesce(sum(f.scheduled), 0)::bigint from engine.lane_figures f) as scheduled,
    m.claims, m.dead, m.claimed,
    extract(epoch from (select engine.now()) - m.measured_at)::float8 as age_seconds
from engine.measured m
-- So that nobody can write through it.
offset 0;
comment on view engine.place_figures is 'How many jobs stand elsewhere than in ready, and how old all figures are.';

-- Each act of the house that one process does for all: when it succeeded last, and what went wrong since.
create table engine.duty (
    name text primary key,
    period_ms bigint not null check (period_ms > 0),
    succeeded_at timestamptz,
    failed_at timestamptz,
    failures integer not null default 0,
    error text,
    took_ms double precision,
    did bigint,
    worker_id bigint,
    term bigint,
    since timestamptz not null default engine.now()
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);
comment on table engine.duty is 'The acts of the house, each by one process at a time, and the health of each.';
comment on column engine.duty.failures is 'How often it failed in a row.';
comment on column engine.duty.did is 'How many rows or objects the last success dealt with.';

create view engine.duty_health as
select d.name, d.period_ms, d.succeeded_at, d.failed_at, d.failures, d.error, d.took_ms, d.did, d.worker_id, d.term,
    greatest(extract(epoch from (select engine.now()) - coalesce(d.succeeded_at, d.since)), 0)::float8 as seconds_since_success,
    coalesce(d.succeeded_at, d.since) < (select engine.now()) - (5 * d.period_ms + 30000) * interval '1 millisecond' as overdue
from engine.duty d
offset 0;
comment on view engine.duty_health is 'Duties and how they are; overdue after five periods and half a minute without a success.';

-- Ranges of the ledger that are not summarised are read by every look at the last minutes: let autovacuum do it as they fill.
do $$
declare
    part regclass;
begin
    for part in select x.indexrelid::regclass from pg_index x join pg_class c on c.oid = x.indexrelid join pg_am a on a.oid = c.relam
        where x.indrelid in (select i.inhrelid from pg_inherits i where i.inhparent = 'engine.attempt'::regclass) and a.amname = 'brin'
    loop
        execute format('alter index %s set (autosummarize = on)', part);
    end loop;
end
$$;
