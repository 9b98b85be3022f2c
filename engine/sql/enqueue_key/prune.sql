-- Forget up to $2 idempotency keys older than $1 days, oldest first.
-- Locks: those rows, skip locked. Index: enqueue_key_age. Caller: store/enqueue_key.rs
delete from engine.enqueue_key where ctid = any (array(
    select ctid from engine.enqueue_key
    where created_at < (select engine.now()) - $1 * interval '1 day'
    order by created_at
    limit $2
    for update skip locked))
