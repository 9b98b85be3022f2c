-- Give duty $1 up, so that a successor need not wait for the lease to run out.
-- Caller: store/leader.rs
update engine.leader set until = engine.now() where duty = $1 and worker_id = $2 and until > engine.now()
