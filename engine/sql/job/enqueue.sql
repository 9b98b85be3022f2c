-- Enqueue one job in the caller's transaction.
-- Locks: its own new rows; its unique and idempotency key. Caller: store/job.rs
select id, created
from engine.enqueue($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
