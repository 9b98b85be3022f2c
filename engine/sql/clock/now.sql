-- The engine's time: the database's clock, or a test's.
-- Caller: store/clock.rs
select engine.now() as now
