-- Who is dead is found out by all workers together. Each had to see a lease unchanged for a whole lease on a connection of its own; where
-- workers died, or lost their connections, more often than that, nobody was declared dead for long.
-- Locks: none that lasts. At run time: the row of engine.lookout, by workers, eight times a lease.

create table engine.lookout (
    id smallint primary key default 1 check (id = 1),
    seen_at timestamptz not null check (isfinite(seen_at)),
    silent_from timestamptz[] not null default '{}',
    silent_until timestamptz[] not null default '{}',
    stepped_at timestamptz
) with (fillfactor = 50, autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
comment on table engine.lookout is
    'When a worker last looked at the leases of all, and the silences of late: in them no worker looked, began or renewed, and perhaps none could.';
comment on column engine.lookout.silent_from is 'When each silence began, and silent_until when it ended; those that no lease has to do with any more are gone.';
comment on column engine.lookout.stepped_at is 'When the clock was found set back, while a lease of before is left.';
