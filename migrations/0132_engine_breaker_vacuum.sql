-- A breaker's row changes with every report of its system, so it is swept by what changed and not by its size.
--
-- Locks: share update exclusive on the table, for a moment.

alter table engine.breaker set (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0
);
