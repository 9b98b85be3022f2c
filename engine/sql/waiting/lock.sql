-- Be the only one who admits, until this transaction ends; false when somebody else does. A statement of its own, so that
-- the next one sees every slot that was taken before.
-- Locks: one advisory lock. Caller: store/waiting.rs
select pg_try_advisory_xact_lock(hashtextextended('engine.admit', 0)) as alone
