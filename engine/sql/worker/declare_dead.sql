-- Look at the leases for worker $1, whose own lasts $2 ms, say so, and declare those dead whose lease has run out. Not while the server has
-- been there for less than a lease; nor, for a lease and a half after a time in which nobody looked and that was longer than half a lease,
-- before theirs has been over for as long as that. Which lease: the longer of both, for the longest of such times the shorter. Returns them.
-- The commit need not be durable. Locks: the row of engine.lookout and those of the dead, skip locked. Index: lookout_pkey.
-- Caller: store/worker.rs
with quick as materialized (
    select set_config('synchronous_commit', 'off', true) as setting
),
look as materialized (
    select engine.now() as at, abs(extract(epoch from clock_timestamp() - pg_postmaster_start_time())) * 1000 as server_ms,
        greatest($2, (select max((w.info ->> 'lease_ms')::bigint) from engine.worker w where w.dead_at is null)) as longest_ms
    from quick
),
-- More often than sixteen times a lease is no use. What is locked is as it is now.
stale as materialized (
    select l.*, round(abs(extract(epoch from look.at - l.seen_at)) * 1000)::bigint as new_ms from engine.lookout l cross join look
    where l.lease_ms = $2 and abs(extract(epoch from look.at - l.seen_at)) * 16000 > l.lease_ms
    for no key update of l skip locked
),
known as materialized (
    select s.*, look.at >= s.gap_at and s.seen_at <= s.gap_at + look.longest_ms * interval '1.5 milliseconds' as counts
    from stale s cross join look
),
renewed as (
    update engine.lookout l
    set seen_at = look.at,
        gap_ms = case
            when not k.counts then k.new_ms
            when least(k.new_ms, k.gap_ms) * 2 <= $2 or k.seen_at <= k.gap_at then greatest(k.gap_ms, k.new_ms)
            -- In a moment between two of them not everybody renews: one that hangs is given up after half a lease.
            when k.seen_at < k.gap_at + look.longest_ms * interval '0.75 milliseconds'
                then k.gap_ms + round(extract(epoch from look.at - k.gap_at) * 1000)::bigint
            else k.new_ms end,
        gap_at = case when k.counts and k.new_ms < k.gap_ms and k.new_ms * 2 <= $2 then k.gap_at else look.at end
    from known k cross join look
    where l.lease_ms = k.lease_ms
    returning l.gap_ms, l.gap_at
),
begun as (
    insert into engine.lookout (lease_ms, seen_at, gap_ms, gap_at)
    -- Who knows how long nobody had.
    select $2, at, 3155760000000, at from look where not exists (select from engine.lookout where lease_ms = $2)
    on conflict do nothing
),
gap as materialized (
    select gap_ms, gap_at from renewed
    union all
    -- Somebody else has just looked. A row that is held and is not of late says nothing.
    select l.gap_ms, l.gap_at from engine.lookout l cross join look
    where l.lease_ms = $2 and not exists (select from renewed) and abs(extract(epoch from look.at - l.seen_at)) * 2000 <= l.lease_ms
),
verdict as (
    update engine.worker set dead_at = (select at from look)
    where ctid = any (array(
        select w.ctid
        from engine.worker w cross join look cross join gap
        cross join lateral (select coalesce((w.info ->> 'lease_ms')::bigint, $2) as ms) own
        where w.dead_at is null and w.id <> $1 and w.lease_until < look.at and look.server_ms >= greatest($2, own.ms)
          and w.lease_until + case
              when gap.gap_ms * 2 > least($2, own.ms) and look.at <= gap.gap_at + greatest($2, own.ms) * interval '1.5 milliseconds'
                  then gap.gap_ms * interval '1 millisecond'
              else interval '0' end <= look.at
        for update of w skip locked))
    returning id
),
quiet as (
    delete from engine.idle where worker_id in (select id from verdict)
)
select id from verdict
