-- The database's time.
-- Caller: seed.rs
select engine.now()
