-- The ids of the next $1 jobs.
-- Caller: store/copy.rs
select nextval('engine.position') as id from generate_series(1, $1)
