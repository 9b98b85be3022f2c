-- Try to lock one job against the transaction of its handler (claim/assert.sql holds the same lock, shared).
-- Caller: store/claim/rescue.rs
select pg_try_advisory_xact_lock(hashtextextended('engine.attempt', $1))
