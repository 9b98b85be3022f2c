-- Every worker that is not declared dead, and whether its lease has run out.
-- Caller: store/worker.rs
select id, lease_until, lease_until < (select engine.now()) as overdue
from engine.worker where dead_at is null
