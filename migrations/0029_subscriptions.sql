-- Subscriptions as Seal tells of them, and their billing (registry 1.6).
--
-- Seal's id is the natural key, so it is unique here, which the registry does not ask for.
-- Locks: creates new objects; share-row-exclusive on customers and orders for the foreign keys, for a moment.

create table raw_ops.subscriptions (
    id                       uuid primary key default gen_random_uuid(),
    customer_id              uuid not null references raw_ops.customers,
    shopify_subscription_id  text not null,
    seal_subscription_id     text,
    status                   text not null default 'active'
        check (status in ('active', 'paused', 'cancelled', 'expired')),
    frequency_weeks          integer not null default 4 check (frequency_weeks > 0),
    price_gbp                numeric(12, 2) not null,
    next_billing_date        date,
    created_at               timestamptz not null default now(),
    updated_at               timestamptz not null default now(),
    paused_at                timestamptz,
    cancelled_at             timestamptz,
    box_size                 text default '12kg',
    shipping_address         text,
    email                    text,
    card_brand               text,
    card_last_digits         text,
    card_expiry_month        integer check (card_expiry_month between 1 and 12),
    card_expiry_year         integer,
    payment_status           text default 'healthy' check (payment_status in ('healthy', 'failing', 'failed')),
    failed_payment_count     integer default 0,
    last_failed_at           timestamptz,
    dunning_started_at       timestamptz,
    last_synced_at           timestamptz default now(),
    seal_payload             jsonb,
    reminder_7day_sent_at    timestamptz,
    reminder_48hour_sent_at  timestamptz,
    dunning_email_day0_sent  boolean default false,
    dunning_email_day3_sent  boolean default false,
    dunning_email_day7_sent  boolean default false,
    dunning_email_day10_sent boolean default false,
    last_error_message       text,
    pause_reason             text,
    seal_internal_id         text,
    shopify_customer_id      bigint,
    delivery_interval        text,
    billing_interval         text,
    variant_id               bigint,
    currency                 text default 'GBP' check (currency ~ '^[A-Z]{3}$'),
    subscription_created_at  timestamptz,
    frequency_is_approximate boolean not null default false,
    constraint subscriptions_shopify_subscription_id_key unique (shopify_subscription_id)
);
comment on table raw_ops.subscriptions is 'Local cache of Seal subscription state';
comment on column raw_ops.subscriptions.seal_subscription_id is 'The natural key: Seal''s id.';
comment on column raw_ops.subscriptions.shopify_subscription_id is
    'The contract''s id, or "seal:" and Seal''s id where Shopify has none.';
comment on column raw_ops.subscriptions.status is 'Lower case; Seal sends upper case.';
comment on column raw_ops.subscriptions.frequency_weeks is
    'Rounded from delivery_interval, which is the truth ("1 month", "15 days").';
comment on column raw_ops.subscriptions.frequency_is_approximate is 'delivery_interval is no whole number of weeks.';
comment on column raw_ops.subscriptions.dunning_started_at is
    'The first failure of the billing cycle; days 0, 3, 7 and 10 are counted from it.';
comment on column raw_ops.subscriptions.dunning_email_day0_sent is
    'Shows the current cycle only, as the three after it; email_events says what was sent when.';
comment on column raw_ops.subscriptions.card_expiry_year is 'Four digits. The card is good until the end of the month.';

create index idx_subscriptions_card_expiry on raw_ops.subscriptions (card_expiry_year, card_expiry_month)
    where status = 'active';
create index idx_subscriptions_customer on raw_ops.subscriptions (customer_id);
create index idx_subscriptions_dunning on raw_ops.subscriptions (dunning_started_at)
    where dunning_started_at is not null;
create index idx_subscriptions_dunning_active on raw_ops.subscriptions (dunning_started_at, last_failed_at)
    where payment_status in ('failing', 'failed') and status = 'active';
create index idx_subscriptions_payment_status on raw_ops.subscriptions (payment_status)
    where payment_status <> 'healthy';
create index idx_subscriptions_status on raw_ops.subscriptions (status);
create unique index subscriptions_seal_subscription_id on raw_ops.subscriptions (seal_subscription_id)
    where seal_subscription_id is not null;

create table raw_ops.subscription_events (
    id                   uuid primary key default gen_random_uuid(),
    subscription_id      uuid references raw_ops.subscriptions,
    seal_subscription_id text,
    customer_id          uuid references raw_ops.customers,
    event_type           text not null check (event_type = lower(event_type)),
    event_source         text not null,
    old_status           text check (old_status = lower(old_status)),
    new_status           text check (new_status = lower(new_status)),
    payload              jsonb,
    event_at             timestamptz not null,
    created_at           timestamptz default now()
);
comment on table raw_ops.subscription_events is 'Immutable log of all subscription changes';
comment on column raw_ops.subscription_events.event_type is
    'Dots and lower case: subscription.paused, billing_attempt.failed.';

create index idx_sub_events_at on raw_ops.subscription_events (event_at desc);
create index idx_sub_events_customer on raw_ops.subscription_events (customer_id);
create index idx_sub_events_sub on raw_ops.subscription_events (subscription_id);
create index idx_sub_events_type on raw_ops.subscription_events (event_type);
create index idx_subscription_events_created on raw_ops.subscription_events (created_at desc);
create index idx_subscription_events_customer_recent on raw_ops.subscription_events (customer_id, created_at desc);
create index idx_subscription_events_seal_id on raw_ops.subscription_events (seal_subscription_id);
create index idx_subscription_events_type_created on raw_ops.subscription_events (event_type, created_at desc);

create table raw_ops.subscription_actions (
    id              uuid primary key default gen_random_uuid(),
    customer_id     uuid not null references raw_ops.customers,
    subscription_id uuid references raw_ops.subscriptions,
    action_type     text not null,
    action_data     jsonb default '{}',
    source          text not null default 'portal',
    created_at      timestamptz not null default now(),
    seal_synced     boolean default false,
    email_sent      boolean default false
);
comment on table raw_ops.subscription_actions is 'Subscription modification actions';

create index idx_subscription_actions_created on raw_ops.subscription_actions (created_at desc);
create index idx_subscription_actions_customer on raw_ops.subscription_actions (customer_id);
create index idx_subscription_actions_subscription on raw_ops.subscription_actions (subscription_id);
create index idx_subscription_actions_type on raw_ops.subscription_actions (action_type);

create table raw_ops.subscription_config (
    config_key   text primary key,
    config_value text not null,
    description  text,
    updated_at   timestamptz default now(),
    updated_by   text
);
comment on table raw_ops.subscription_config is 'Subscription configuration parameters';

create table raw_ops.billing_attempts (
    id                      uuid primary key default gen_random_uuid(),
    subscription_id         uuid references raw_ops.subscriptions,
    seal_subscription_id    text not null,
    seal_billing_attempt_id text not null,
    customer_id             uuid references raw_ops.customers,
    scheduled_at            timestamptz not null,
    attempted_at            timestamptz,
    completed_at            timestamptz,
    status                  text not null default 'scheduled'
        check (status in ('scheduled', 'processing', 'success', 'failed', 'skipped', 'cancelled')),
    shopify_order_id        text,
    order_id                uuid references raw_ops.orders,
    error_code              text,
    error_message           text,
    retry_count             integer default 0,
    requires_authentication boolean default false,
    authentication_url      text,
    amount_pence            integer,
    currency                text default 'GBP' check (currency ~ '^[A-Z]{3}$'),
    is_retry                boolean default false,
    original_attempt_id     uuid references raw_ops.billing_attempts,
    triggered_manually      boolean default false,
    seal_payload            jsonb,
    created_at              timestamptz default now(),
    updated_at              timestamptz default now(),
    constraint billing_attempts_seal_billing_attempt_id_key unique (seal_billing_attempt_id)
);
comment on table raw_ops.billing_attempts is 'Payment billing attempt records';
comment on column raw_ops.billing_attempts.seal_billing_attempt_id is
    'The same over all tries; retry_count grows and subscription_events keeps each try.';

create index idx_billing_attempts_customer_id on raw_ops.billing_attempts (customer_id);
create index idx_billing_attempts_customer_recent on raw_ops.billing_attempts (customer_id, attempted_at desc);
create index idx_billing_attempts_failed on raw_ops.billing_attempts (subscription_id, status)
    where status = 'failed';
create index idx_billing_attempts_scheduled on raw_ops.billing_attempts (scheduled_at);
create index idx_billing_attempts_seal_sub on raw_ops.billing_attempts (seal_subscription_id);
create index idx_billing_attempts_status on raw_ops.billing_attempts (status);
create index idx_billing_attempts_sub on raw_ops.billing_attempts (subscription_id);

create table raw_ops.payment_events (
    id               uuid primary key default gen_random_uuid(),
    customer_id      uuid not null references raw_ops.customers,
    order_id         uuid references raw_ops.orders,
    subscription_id  uuid references raw_ops.subscriptions on delete set null,
    event_type       text not null,
    failure_reason   text,
    attempt_number   integer default 1,
    amount_pence     integer,
    shopify_event_id text,
    event_metadata   jsonb default '{}',
    created_at       timestamptz not null default now()
);
comment on table raw_ops.payment_events is 'Payment lifecycle events';

create index idx_payment_events_created on raw_ops.payment_events (created_at desc);
create index idx_payment_events_customer on raw_ops.payment_events (customer_id);
create index idx_payment_events_customer_created on raw_ops.payment_events (customer_id, created_at desc);
create index idx_payment_events_type on raw_ops.payment_events (event_type);

create table raw_ops.seal_webhook_inbox (
    id                     uuid primary key default gen_random_uuid(),
    webhook_topic          text not null,
    seal_subscription_id   text,
    payload                jsonb not null,
    headers                jsonb,
    hmac_signature         text,
    hmac_valid             boolean,
    processing_status      text default 'pending'
        check (processing_status in ('pending', 'processing', 'retrying', 'success', 'failed', 'suspected_replay', 'ignored')),
    processing_attempts    integer default 0,
    last_error             text,
    error_category         text,
    processed_at           timestamptz,
    processing_duration_ms integer,
    idempotency_key        text,
    received_at            timestamptz default now(),
    created_at             timestamptz default now(),
    raw_body               bytea,
    constraint seal_webhook_inbox_idempotency_key_key unique (idempotency_key)
);
comment on table raw_ops.seal_webhook_inbox is 'Raw incoming Seal webhooks';
comment on column raw_ops.seal_webhook_inbox.idempotency_key is
    'SHA-256 of the topic and the raw body: Seal sends no id of the delivery.';
comment on column raw_ops.seal_webhook_inbox.raw_body is
    'The bytes that were signed; payload is what jsonb can hold of them.';

create index idx_seal_webhook_inbox_recent on raw_ops.seal_webhook_inbox (created_at desc);
create index idx_seal_webhook_inbox_retry_queue on raw_ops.seal_webhook_inbox (received_at)
    where processing_status in ('pending', 'failed');
create index idx_seal_webhook_inbox_status on raw_ops.seal_webhook_inbox (processing_status);
create index idx_seal_webhook_inbox_subscription on raw_ops.seal_webhook_inbox (seal_subscription_id);
create index idx_seal_webhook_inbox_topic on raw_ops.seal_webhook_inbox (webhook_topic);
create index idx_seal_webhook_received on raw_ops.seal_webhook_inbox (received_at);
