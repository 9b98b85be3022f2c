-- Every worker that is not declared dead, whether its lease has run out, and how long its leases last.
-- Caller: store/worker.rs
select id, lease_until, lease_until < (select engine.now()) as overdue, coalesce((info ->> 'lease_ms')::bigint, 0) as lease_ms
from engine.worker where dead_at is null
