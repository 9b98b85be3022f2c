-- Forget up to $1 idempotency keys that are past their time, oldest first.
-- Locks: those rows, skip locked. Index: enqueue_key_age. Caller: store/enqueue_key.rs
delete from engine.enqueue_key where ctid = any (array(
    select ctid from engine.enqueue_key
    where created_at < (select engine.kept_since('enqueue_keys'))
    order by created_at
    limit $1
    for update skip locked))
