-- Claims know whether they hold runs: jobs of one limit key that follow each other on one slot, which the last of them holds.
-- Locks: engine.claim, for a moment.

alter table engine.claim add column in_runs boolean not null default false;
comment on column engine.claim.in_runs is 'Whether jobs in it follow each other on one slot of their limit key, which the last of them holds.';
