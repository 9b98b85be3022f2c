-- Duty $1 of period $2 ms failed with error $3; worker $4 tried in term $5. Returns how often it has failed in a row.
-- Locks: its row. Caller: store/duty.rs
insert into engine.duty as d (name, period_ms, failed_at, failures, error, worker_id, term)
values ($1, $2, engine.now(), 1, $3, $4, $5)
on conflict (name) do update
set period_ms = excluded.period_ms, failed_at = excluded.failed_at, failures = d.failures + 1, error = excluded.error,
    worker_id = excluded.worker_id, term = excluded.term
returning failures
