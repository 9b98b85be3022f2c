-- A lease stands still while no worker is heard of, and goes on between such silences. engine.lookout added them up with what lay between them:
-- in a storm of kills nobody was found dead for half a minute, and where leases had two lengths perhaps never. It stays for programs of before.
-- Locks: none that lasts. At run time: the row of engine.watch, by workers, eight times a lease.

create table engine.watch (
    id smallint primary key default 1 check (id = 1),
    seen_at timestamptz not null check (isfinite(seen_at)),
    silent_from timestamptz[] not null default '{}',
    silent_until timestamptz[] not null default '{}',
    stepped_at timestamptz
) with (fillfactor = 50, autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
comment on table engine.watch is
    'When a worker last looked at the leases of all, and the silences of late: in them no worker looked, began or renewed, and perhaps none could.';
comment on column engine.watch.silent_from is 'When each silence began, and silent_until when it ended; those that no lease has to do with any more are gone.';
comment on column engine.watch.stepped_at is 'When the clock was found set back, while a lease of before is left.';
comment on table engine.lookout is 'As engine.watch, by programs of before: when they last looked at the leases. Nothing else reads it.';
