-- What is known of the system that kind $1 calls, while its jobs are held for it.
-- Caller: store/why.rs
select system, state, since, probe_at, held_by, reason, last_error from engine.barred where kind = $1
