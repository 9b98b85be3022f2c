-- Take the override of category $1 for kind $2 away.
-- Locks: its row. Caller: store/retry_policy.rs
delete from engine.retry_override where error_category = $1 and kind = $2
