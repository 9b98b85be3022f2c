-- A shop other than those of sandboxes ($1) that webhooks have come from.
-- Caller: up.rs
select shop from raw_ops.webhook_inbox where source = 'shopify' and shop <> '' and not shop = any ($1) limit 1
