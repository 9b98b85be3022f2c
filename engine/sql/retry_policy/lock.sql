-- Be the only one who edits the policy, until this transaction ends: an edit reads a row and writes all of it. A statement of its own,
-- so that the next one sees what was written before.
-- Locks: one advisory lock. Caller: store/retry_policy.rs
select pg_advisory_xact_lock(hashtextextended('engine.retry_policy', 0))
