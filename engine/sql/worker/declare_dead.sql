-- Look at the leases for worker $1, whose own lasts $2 ms, say so, and declare those dead whose lease has run out. A lease stands still in a
-- silence, in which no worker looked, began or renewed, since perhaps none could: all of it but a quarter of that lease, for which who lives
-- may be silent. Where the clock was set back a lease of before begins anew. Not while the server has been there for less
-- than a lease. Whoever writes the row of engine.watch judges; it is the one with all silences. Returns them.
-- The commit need not be durable. Locks: the row of engine.watch and those of the dead, skip locked. Index: watch_pkey.
-- Caller: store/worker.rs
with quick as materialized (
    select set_config('synchronous_commit', 'off', true) as setting
),
look as materialized (
    select engine.now() as at, abs(extract(epoch from clock_timestamp() - pg_postmaster_start_time())) * 1000 as server_ms from quick
),
lease as materialized (
    select w.id, w.lease_until, w.started_at as began, own.lasts, greatest(own.lasts, $2 * interval '1 millisecond') as longer,
        w.lease_until - own.lasts as renewed
    from engine.worker w cross join look
    cross join lateral (
        -- A program that does not say how long its leases are has renewed this one now, at the latest.
        select coalesce(
            case when jsonb_typeof(w.info -> 'lease_ms') = 'number' then least(greatest((w.info -> 'lease_ms')::numeric, 200), 86400000)::bigint end
                * interval '1 millisecond',
            greatest($2 * interval '1 millisecond', least(w.lease_until - look.at, interval '1 day'))) as lasts) own
    where w.dead_at is null
),
-- More often than sixteen times a lease is no use. What is locked is as it is now.
stale as materialized (
    select l.* from engine.watch l cross join look
    where l.id = 1 and abs(extract(epoch from look.at - l.seen_at)) * 16000 > $2
    for no key update of l skip locked
),
heard as materialized (
    select seen_at as at from stale
    union all
    select look.at from stale cross join look where look.at > stale.seen_at
    union all
    select h.at from stale cross join look cross join lease w cross join lateral (values (w.began), (w.renewed)) h (at)
    where h.at > stale.seen_at and h.at < look.at
),
silence as materialized (
    select h.before as began, h.at as ended
    from (select at, lag(at) over (order by at) as before from heard) h
    where h.at - h.before > (select least(min(w.lasts), $2 * interval '1 millisecond') from lease w) / 4
    union all
    select s.began, least(s.ended, look.at)
    from stale cross join look cross join unnest(stale.silent_from, stale.silent_until) s (began, ended)
    where s.began < look.at and s.ended > (select min(w.renewed) from lease w)
),
looked as (
    update engine.watch l
    set seen_at = look.at, silent_from = coalesce(s.began, '{}'), silent_until = coalesce(s.ended, '{}'),
        stepped_at = case
            when not exists (select from lease w where w.renewed > look.at + w.lasts) then null
            when look.at < l.seen_at then look.at
            else coalesce(l.stepped_at, look.at) end
    from look cross join (
        select array_agg(n.began order by n.ended) as began, array_agg(n.ended order by n.ended) as ended
        from (select * from silence order by ended desc limit 1000) n) s
    where l.id = (select id from stale)
    returning l.silent_from, l.silent_until, l.stepped_at
),
begun as (
    insert into engine.watch (seen_at, silent_from, silent_until)
    -- Who knows how long it was before.
    select at, array['-infinity'::timestamptz], array[at] from look where not exists (select from engine.watch)
    on conflict do nothing
),
verdict as (
    update engine.worker set dead_at = (select at from look)
    where ctid = any (array(
        select w.ctid
        from look cross join looked cross join lease e
        -- Unless it is renewed at this moment.
        join engine.worker w on w.id = e.id and w.lease_until = e.lease_until
        cross join lateral (select case when e.renewed > look.at + e.lasts then looked.stepped_at else e.renewed end as at) renewed
        cross join lateral (
            select sum(greatest(interval '0', s.ended - greatest(s.began, renewed.at) - e.lasts / 4)) as time
            from unnest(looked.silent_from, looked.silent_until) s (began, ended) where s.ended > renewed.at) silent
        where w.dead_at is null and w.id <> $1 and look.server_ms * interval '1 millisecond' >= e.longer
          and look.at - renewed.at > e.lasts + coalesce(silent.time, interval '0')
        for update of w skip locked))
    returning id
),
quiet as (
    delete from engine.idle where worker_id in (select id from verdict)
)
select id from verdict
