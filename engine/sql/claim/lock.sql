-- Lock claim $2 of worker $1 against handlers' transactions that hold it. No row: one of them does, or it is gone.
-- Caller: store/claim/rescue.rs
select id from engine.claim where worker_id = $1 and id = $2 for update skip locked
