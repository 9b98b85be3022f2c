-- Worker $1 is busy again: nobody need notify it.
-- Caller: store/worker.rs
delete from engine.idle where worker_id = $1
