-- Store a scan of a parcel; a trigger makes its job. Returns `enqueued` or `duplicate`.
-- Locks: the inserted row. Caller: webhooks/courier.rs
select raw_ops.store_courier_event($1, $2, $3, $4, $5)
