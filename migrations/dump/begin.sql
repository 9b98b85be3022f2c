-- Names are written with their schema, and everything is read from one snapshot.
-- Caller: dump.rs
set local search_path = pg_catalog
