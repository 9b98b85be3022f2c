-- Whether order $1 of the shop was ever received.
-- Caller: up/shop.rs
select exists (select from raw_ops.orders where shopify_order_id = $1::text)
    or exists (select from raw_ops.webhook_inbox where shopify_order_id = $1) as is_known
