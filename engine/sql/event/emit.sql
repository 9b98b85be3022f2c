-- Emit event $1 of key $2 with payload $3, once a key $4, in the caller's transaction.
-- Locks: the row of the topic until the transaction ends; waits of it. Caller: store/event.rs
select id, created, woken from engine.emit($1, $2, $3, $4)
