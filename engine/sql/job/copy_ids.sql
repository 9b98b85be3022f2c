-- The ids of the next $1 jobs.
-- Caller: store/copy.rs
select array(select nextval('engine.position') from generate_series(1, $1)) as ids
