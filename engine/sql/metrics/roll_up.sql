-- Count the attempts that ended since the last time into their minutes.
-- Caller: metrics.rs
select engine.roll_up_attempts()
