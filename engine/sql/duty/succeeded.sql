-- Duty $1 of period $2 ms succeeded: it took $3 ms and dealt with $4; worker $5 did it in term $6.
-- Locks: its row. Caller: store/duty.rs
insert into engine.duty as d (name, period_ms, succeeded_at, took_ms, did, worker_id, term)
values ($1, $2, engine.now(), $3, $4, $5, $6)
on conflict (name) do update
set period_ms = excluded.period_ms, succeeded_at = excluded.succeeded_at, took_ms = excluded.took_ms, did = excluded.did,
    worker_id = excluded.worker_id, term = excluded.term, failures = 0
