-- Forget workers that have been dead for as long as they are kept and hold nothing.
-- Caller: store/worker.rs
delete from engine.worker w
where w.dead_at < (select engine.kept_since('dead_workers')) and not exists (select from engine.claim c where c.worker_id = w.id)
