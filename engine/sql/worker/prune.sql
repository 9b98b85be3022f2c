-- Forget workers that have been dead for a day and hold nothing.
-- Caller: store/worker.rs
delete from engine.worker w
where w.dead_at < engine.now() - interval '1 day' and not exists (select from engine.claim c where c.worker_id = w.id)
