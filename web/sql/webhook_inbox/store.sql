-- Store deliveries of Shopify: one element of each array a delivery; none has another's topic and body.
-- Returns the rows that are new, each with the earlier row of the same topic and body: a suspected replay.
-- A webhook id that is known makes no row. Only what is an order is left pending: its row's trigger makes the job.
-- Locks: the inserted rows. Index: webhook_inbox_delivery_key, idx_webhook_inbox_body.
-- Caller: webhooks/shopify/batch.rs
insert into raw_ops.webhook_inbox (
    source, received_at, id, shop, topic, webhook_id, event_id, triggered_at, raw_headers, raw_payload, raw_body, body_sha256,
    shopify_order_id, shopify_order_number, last_error, hmac_verified, replay_of, processing_status
)
select
    'shopify', (select engine.now()), d.id, d.shop, d.topic, d.webhook_id, d.event_id, d.triggered_at, d.headers::jsonb, d.payload::jsonb, d.body,
    d.body_sha256, d.order_id, d.order_number, d.unfit, true, seen.id,
    case when seen.id is not null then 'suspected_replay' when d.is_order then 'pending' else 'ignored' end
from unnest(
    $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[], $8::text[], $9::bytea[],
    $10::bytea[], $11::bigint[], $12::text[], $13::boolean[], $14::text[]
) d (
    id, shop, topic, webhook_id, event_id, triggered_at, headers, payload, body, body_sha256, order_id, order_number,
    is_order, unfit
)
left join lateral (
    select i.id
    from raw_ops.webhook_inbox i
    where i.source = 'shopify' and i.shop = d.shop and i.topic = d.topic and i.body_sha256 = d.body_sha256
    order by i.received_at
    limit 1
) seen on true
on conflict (source, shop, webhook_id) do nothing
returning id, replay_of
