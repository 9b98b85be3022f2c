-- The jobs of claim $2 of worker $1.
-- Caller: store/claim.rs
select ids from engine.claim where worker_id = $1 and id = $2
