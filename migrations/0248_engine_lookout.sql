-- Who is dead is found out by all workers together. Each had to see a lease unchanged for a whole lease on a connection of its own; where
-- workers died, or lost their connections, more often than that, nobody was declared dead for long.
-- Locks: none that lasts. At run time: a row of engine.lookout, by workers, eight times a lease.

create table engine.lookout (
    lease_ms bigint primary key check (lease_ms > 0),
    seen_at timestamptz not null,
    gap_ms bigint not null,
    gap_at timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
comment on table engine.lookout is
    'When workers whose lease lasts so many milliseconds last looked at the leases of all. While nobody looked nobody may have been able to renew.';
comment on column engine.lookout.gap_ms is 'The longest time between two looks of late.';
comment on column engine.lookout.gap_at is 'When that ended. A lease and a half later it no longer counts.';
