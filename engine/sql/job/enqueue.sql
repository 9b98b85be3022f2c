-- Enqueue one job in the caller's transaction, to run at $5 or $20 from now. Times are in milliseconds.
-- Locks: its own new rows; its unique and idempotency key; the place of a job that it replaces. Caller: store/job.rs
select id, created, queue_depth, queue_age_ms
from engine.enqueue($1, $2, $3, $4, coalesce($5, engine.now() + $20::bigint * interval '1 millisecond'), $6, $7, $8, $9, $10, $11, $12,
    deadline => $13, unique_args => $14, unique_for => $15::bigint * interval '1 millisecond', unique_until_started => $16,
    replaces => $17, debounce => $18::bigint * interval '1 millisecond', debounce_max => $19::bigint * interval '1 millisecond')
