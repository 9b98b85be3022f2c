-- Declare worker $1 dead, if its lease is still the one ($2) that had run out when somebody looked whose own lasts $3 ms, less than half of
-- that ago ($4).
-- Locks: its row, against a renewal. Caller: store/worker.rs
with verdict as (
    update engine.worker set dead_at = engine.now()
    where id = $1 and lease_until = $2 and dead_at is null and abs(extract(epoch from engine.now() - $4)) * 2000 < $3
    returning id
),
quiet as (
    delete from engine.idle where worker_id in (select id from verdict)
)
select id from verdict
