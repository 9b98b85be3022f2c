-- Who is dead is found out by all workers together. Each had to see a lease unchanged for a whole lease on a connection of its own; where
-- workers died, or lost their connections, more often than that, nobody was declared dead for long.
-- Locks: none that lasts. At run time: a row of engine.lookout, by workers, eight times a lease.

create table engine.lookout (
    lease_ms bigint primary key check (lease_ms > 0),
    since timestamptz not null,
    seen_at timestamptz not null,
    server_started timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
comment on table engine.lookout is
    'Since when workers whose lease lasts so many milliseconds have looked at the leases of all, with no break longer than half of theirs.';
comment on column engine.lookout.seen_at is 'When one of them looked last.';
comment on column engine.lookout.server_started is 'When the server had started that answered: its absence is a break, however short.';

create function engine.watched_since(lease_ms bigint) returns timestamptz
language sql stable
as $$
    select l.since from engine.lookout l
    where l.lease_ms = watched_since.lease_ms and l.server_started = pg_postmaster_start_time()
      and abs(extract(epoch from engine.now() - l.seen_at)) * 2000 <= l.lease_ms
$$;
comment on function engine.watched_since(bigint) is
    'Since when leases are watched without a break by workers with leases of so many milliseconds; null where none has looked for half of that. A step of the clock is a break.';
revoke all on function engine.watched_since(bigint) from public;
