-- Store one delivery of Shopify; no row comes back when its webhook id is known.
-- Returns the row's id and whether topic and body were received before under another id.
-- Only what a job will process is left pending. Null as $6 says that jsonb cannot hold the body, $13 why.
-- Locks: the inserted row. Index: webhook_inbox_delivery_key, idx_webhook_inbox_body.
-- Caller: webhooks/shopify/inbox.rs
with seen as (
    select i.id
    from raw_ops.webhook_inbox i
    where i.source = 'shopify' and i.shop = $1 and i.topic = $2 and i.body_sha256 = $9
    order by i.received_at
    limit 1
)
insert into raw_ops.webhook_inbox (
    source, shop, topic, webhook_id, event_id, triggered_at, raw_headers, raw_payload, raw_body, body_sha256,
    shopify_order_id, shopify_order_number, hmac_verified, processing_status, replay_of, last_error
)
select
    'shopify', $1, $2, $3, $4, $5, $7, coalesce($6::text::jsonb, 'null'), $8, $9, $10, $11, true,
    case when seen.id is not null then 'suspected_replay' when $12 then 'pending' else 'ignored' end,
    seen.id, $13
from (select) one
left join seen on true
on conflict (source, shop, webhook_id) do nothing
returning id, replay_of is not null
