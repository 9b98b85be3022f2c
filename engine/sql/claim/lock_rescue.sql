-- Try to be the one who rescues claim $1.
-- Caller: store/claim/rescue.rs
select pg_try_advisory_xact_lock(hashtextextended('engine.rescue', $1))
