-- Store a webhook of Seal; a trigger makes its job. Returns `enqueued`, `duplicate` or `unknown_topic`.
-- Locks: the inserted row. Caller: webhooks/seal.rs
select raw_ops.store_seal_webhook($1, $2, $3, $4, $5, $6, $7, $8)
