-- Webhooks received, those of them not yet processed, and orders.
-- Reads indexes of both tables whole. Caller: up/status.rs
select
    (select count(*) from raw_ops.webhook_inbox) as webhooks,
    (select count(*) from raw_ops.webhook_inbox where processing_status in ('pending', 'processing', 'retrying')) as pending,
    (select count(*) from raw_ops.orders) as orders
