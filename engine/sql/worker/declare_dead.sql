-- Declare worker $1 dead, if its lease is still the one ($2) that was watched, without a break since $4 by those whose own lasts $3 ms.
-- Locks: its row, against a renewal. Caller: store/worker.rs
with verdict as (
    update engine.worker set dead_at = engine.now()
    where id = $1 and lease_until = $2 and dead_at is null and engine.watched_since($3) = $4
    returning id
),
quiet as (
    delete from engine.idle where worker_id in (select id from verdict)
)
select id from verdict
