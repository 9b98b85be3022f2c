-- Worker $1 has nothing to do and wants to be woken.
-- Caller: store/worker.rs
insert into engine.idle (worker_id)
select $1 where exists (select from engine.worker w where w.id = $1 and w.dead_at is null)
on conflict do nothing
