-- Let nobody count what runs under limits until this transaction ends: first, since who counts waits for no limit.
-- Locks: one advisory lock. Caller: store/limit.rs
select pg_advisory_xact_lock(hashtextextended('engine.count_permits', 0))
