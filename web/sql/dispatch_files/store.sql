-- Store a file of the packer; a trigger makes its job. Returns `enqueued` or `duplicate`.
-- Locks: the inserted row. Caller: webhooks/packer.rs
select raw_ops.store_dispatch_file($1, $2, $3)
