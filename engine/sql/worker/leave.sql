-- Worker $1 ended in good order and holds nothing.
-- Locks: its row. Caller: store/worker.rs
with quiet as (
    delete from engine.idle where worker_id = $1
)
delete from engine.worker w
where w.id = $1 and not exists (select from engine.claim c where c.worker_id = w.id)
