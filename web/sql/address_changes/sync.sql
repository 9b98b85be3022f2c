-- Have the change $1, or every change of the customer $2, told to whom it was not.
-- Locks: the changes. Caller: functions/sync_address_change.rs
select id, customer_id, shopify, seal from raw_ops.sync_address_change($1, $2)
