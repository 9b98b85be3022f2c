-- Store deliveries of Shopify, one element of each array a delivery; a trigger makes a job of each that is new.
-- Returns the rows that are new, each with the earlier row of the same topic and body: a suspected replay.
-- Locks: the inserted rows. Caller: webhooks/shopify/batch.rs
select id, replay_of from raw_ops.store_shopify_webhooks($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
