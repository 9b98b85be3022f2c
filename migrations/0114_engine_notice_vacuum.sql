-- Notices come and go, so their table is swept by what changed and not by its size.
--
-- Locks: share update exclusive on the table, for a moment.

alter table engine.notice set (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0
);
