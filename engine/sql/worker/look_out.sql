-- Look at the leases for worker $1, whose own lasts $2 ms, and say so; eight times a lease is enough for all. Returns the leases that have
-- run out and were watched for as long as they last, and as its own does, before this look. The commit need not be durable.
-- Locks: the row of engine.lookout, skip locked. Index: lookout_pkey. Caller: store/worker.rs
with quick as materialized (
    select set_config('synchronous_commit', 'off', true) as setting
),
look as materialized (
    select engine.now() as at, pg_postmaster_start_time() as started, engine.watched_since($2) as since from quick
),
stale as materialized (
    select l.lease_ms from engine.lookout l cross join look
    where l.lease_ms = $2
      and (l.server_started <> look.started or abs(extract(epoch from look.at - l.seen_at)) * 16000 > l.lease_ms)
    for no key update of l skip locked
),
renewed as (
    update engine.lookout l
    set since = case when look.since is null then look.at else l.since end, seen_at = look.at, server_started = look.started
    from stale cross join look
    where l.lease_ms = stale.lease_ms
),
begun as (
    insert into engine.lookout (lease_ms, since, seen_at, server_started)
    select $2, at, at, started from look where not exists (select from engine.lookout where lease_ms = $2)
    on conflict do nothing
)
select w.id, w.lease_until, look.since as watched_since
from engine.worker w cross join look
where w.dead_at is null and w.id <> $1 and w.lease_until < look.at
  and look.since + greatest($2, coalesce((w.info ->> 'lease_ms')::bigint, 0)) * interval '1 millisecond' <= look.at
