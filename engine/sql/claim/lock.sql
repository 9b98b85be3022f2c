-- Lock claim $2 of worker $1 against handlers' transactions that hold it.
-- Caller: store/claim.rs
select ids from engine.claim where worker_id = $1 and id = $2 for update
