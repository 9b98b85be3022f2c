-- Look at the leases for worker $1, whose own lasts $2 ms, and say so; more often than sixteen times a lease is no use. Returns the leases
-- that have run out, which proves a death: but not while the server has been there for less than a lease, nor, for a lease and a half after
-- a time in which nobody looked and that was longer than half a lease, before one has been over for as long as that.
-- The commit need not be durable. Locks: the row of engine.lookout, skip locked. Index: lookout_pkey. Caller: store/worker.rs
with quick as materialized (
    select set_config('synchronous_commit', 'off', true) as setting
),
look as materialized (
    select engine.now() as at, clock_timestamp() - pg_postmaster_start_time() >= $2 * interval '1 millisecond' as is_settled from quick
),
stale as materialized (
    select l.lease_ms, round(abs(extract(epoch from look.at - l.seen_at)) * 1000)::bigint as gap_ms from engine.lookout l cross join look
    where l.lease_ms = $2 and abs(extract(epoch from look.at - l.seen_at)) * 16000 > l.lease_ms
    for no key update of l skip locked
),
renewed as (
    update engine.lookout l
    set seen_at = look.at,
        gap_ms = case when longest.is_new then stale.gap_ms else l.gap_ms end,
        gap_at = case when longest.is_new then look.at else l.gap_at end
    from stale cross join look
    cross join lateral (
        select stale.gap_ms >= k.gap_ms or look.at > k.gap_at + $2 * interval '1.5 milliseconds' or look.at < k.gap_at as is_new
        from engine.lookout k where k.lease_ms = stale.lease_ms
    ) longest
    where l.lease_ms = stale.lease_ms
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
)
select w.id, w.lease_until, look.at as looked_at
from engine.worker w cross join look cross join gap
cross join lateral (select coalesce((w.info ->> 'lease_ms')::bigint, $2) as ms) own
where w.dead_at is null and w.id <> $1 and look.is_settled and w.lease_until < look.at
  and w.lease_until + case
      when gap.gap_ms * 2 > least($2, own.ms) and look.at <= gap.gap_at + $2 * interval '1.5 milliseconds'
          then gap.gap_ms * interval '1 millisecond'
      else interval '0' end <= look.at
