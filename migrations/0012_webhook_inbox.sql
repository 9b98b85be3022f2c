-- Every webhook that was received, as received (registry 1.11), with what dedupe and staleness need.
--
-- Beyond the registry: the delivery's own identity (source, shop, webhook_id, event_id, triggered_at), the raw bytes
-- (jsonb keeps neither their order nor a \u0000, and the signature was over the bytes) and their digest.
-- A repeated webhook_id is the same delivery and is refused by the key. A repeated body under a new webhook_id is a
-- suspected replay: stored with status `suspected_replay` and replay_of, and not run until an operator releases it,
-- because a legitimate event can have an identical body. So the index on the digest is not unique.
-- Locks: creates new objects only.

create table raw_ops.webhook_inbox (
    id uuid primary key default gen_random_uuid(),
    received_at timestamptz not null default now(),
    topic text not null,
    shopify_order_id bigint,
    shopify_order_number text,
    raw_headers jsonb not null,
    raw_payload jsonb not null,
    hmac_verified boolean default false,
    processing_status text not null default 'pending' check (processing_status in
        ('pending', 'processing', 'retrying', 'success', 'failed', 'suspected_replay', 'ignored')),
    processed_at timestamptz,
    processing_time_ms integer,
    processing_attempts integer not null default 0,
    last_error text,
    last_error_at timestamptz,
    error_category text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    processing_duration_ms integer,
    source text not null default 'shopify',
    shop text not null default '',
    webhook_id text,
    event_id text,
    triggered_at timestamptz,
    raw_body bytea,
    body_sha256 bytea check (length(body_sha256) = 32),
    replay_of uuid references raw_ops.webhook_inbox on delete set null,
    constraint webhook_inbox_delivery_key unique (source, shop, webhook_id)
);
comment on table raw_ops.webhook_inbox is 'All incoming webhooks with processing status';
comment on column raw_ops.webhook_inbox.raw_payload is 'The body as far as jsonb can hold it; jsonb null when it is no JSON. raw_body is the truth.';
comment on column raw_ops.webhook_inbox.shop is 'The shop that the route''s secret belongs to, never a header''s word; empty where a source has none.';
comment on column raw_ops.webhook_inbox.webhook_id is 'The sender''s id of the delivery, the same over its retries; null where a source has none.';
comment on column raw_ops.webhook_inbox.event_id is 'The sender''s id of the event, shared by its deliveries.';
comment on column raw_ops.webhook_inbox.replay_of is 'The earlier row with the same source, shop, topic and body.';
comment on column raw_ops.webhook_inbox.processing_duration_ms is 'Work of the attempt that succeeded; processing_time_ms is filled equal.';

create index idx_inbox_pending on raw_ops.webhook_inbox (received_at)
    where processing_status = any (array['pending', 'failed', 'retrying']);
create index idx_inbox_shopify_order on raw_ops.webhook_inbox (shopify_order_id);
create index idx_inbox_status on raw_ops.webhook_inbox (processing_status, received_at);
create index idx_webhook_inbox_shopify_order on raw_ops.webhook_inbox (shopify_order_id) where shopify_order_id is not null;
create index idx_webhook_inbox_status on raw_ops.webhook_inbox (processing_status, created_at);
create index idx_webhook_inbox_body on raw_ops.webhook_inbox (source, shop, topic, body_sha256, received_at)
    where body_sha256 is not null;
create index idx_webhook_inbox_replay_of on raw_ops.webhook_inbox (replay_of) where replay_of is not null;
