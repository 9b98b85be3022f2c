-- Keep a rescue of job $1 out until this transaction ends. A statement of its own, so that the next one sees what a
-- rescue that held the lock before has written.
-- Locks: one advisory lock, shared. Caller: store/claim.rs
select pg_advisory_xact_lock_shared(hashtextextended('engine.attempt', $1))
