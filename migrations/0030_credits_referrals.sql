-- Credit that customers hold, and who referred whom (registry 1.7).
--
-- customer_credits is live, referral_rewards holds the codes that were given before it.
-- Locks: creates new objects; share-row-exclusive on customers and orders for the foreign keys, for a moment.

create table raw_ops.customer_credits (
    id                     uuid primary key default gen_random_uuid(),
    customer_id            uuid not null references raw_ops.customers,
    amount_pence           integer not null check (amount_pence > 0),
    remaining_pence        integer not null,
    source_type            text not null,
    source_id              uuid,
    source_description     text,
    status                 text not null default 'available'
        check (status in ('available', 'exhausted', 'expired', 'revoked')),
    expires_at             timestamptz not null,
    expiry_warning_sent_at timestamptz,
    created_at             timestamptz not null default now(),
    updated_at             timestamptz not null default now(),
    constraint customer_credits_remaining_within check (remaining_pence between 0 and amount_pence)
);
comment on table raw_ops.customer_credits is 'Customer credit balances';
comment on column raw_ops.customer_credits.remaining_pence is
    'Taken by customer_credit_applications, given back when one is reversed.';

create index idx_customer_credits_customer_available on raw_ops.customer_credits (customer_id, created_at)
    where status = 'available';
create index idx_customer_credits_customer_id on raw_ops.customer_credits (customer_id);
create index idx_customer_credits_expires_at on raw_ops.customer_credits (expires_at) where status = 'available';
create index idx_customer_credits_expiry_warning on raw_ops.customer_credits (expires_at)
    where status = 'available' and expiry_warning_sent_at is null;
create index idx_customer_credits_source on raw_ops.customer_credits (source_type, source_id);
create index idx_customer_credits_status on raw_ops.customer_credits (status);

create table raw_ops.customer_credit_applications (
    id                   uuid primary key default gen_random_uuid(),
    credit_id            uuid not null references raw_ops.customer_credits,
    order_id             uuid not null references raw_ops.orders,
    customer_id          uuid not null references raw_ops.customers,
    amount_applied_pence integer not null check (amount_applied_pence > 0),
    status               text not null default 'applied' check (status in ('applied', 'reversed')),
    reversed_at          timestamptz,
    reversed_reason      text,
    applied_at           timestamptz not null default now(),
    constraint customer_credit_applications_credit_id_order_id_key unique (credit_id, order_id)
);
comment on table raw_ops.customer_credit_applications is 'Credit application to orders';

create index idx_credit_applications_credit_id on raw_ops.customer_credit_applications (credit_id);
create index idx_credit_applications_customer_id on raw_ops.customer_credit_applications (customer_id);
create index idx_credit_applications_order_id on raw_ops.customer_credit_applications (order_id);

create table raw_ops.customer_credit_events (
    id             uuid primary key default gen_random_uuid(),
    event_type     text not null,
    credit_id      uuid references raw_ops.customer_credits,
    customer_id    uuid references raw_ops.customers,
    order_id       uuid references raw_ops.orders,
    application_id uuid references raw_ops.customer_credit_applications,
    payload        jsonb not null default '{}',
    created_at     timestamptz not null default now()
);
comment on table raw_ops.customer_credit_events is 'Credit balance change events';

create index idx_credit_events_credit_id on raw_ops.customer_credit_events (credit_id);
create index idx_credit_events_customer_id on raw_ops.customer_credit_events (customer_id);
create index idx_credit_events_order_id on raw_ops.customer_credit_events (order_id);
create index idx_credit_events_type on raw_ops.customer_credit_events (event_type);

create table raw_ops.referral_codes (
    id                         uuid primary key default gen_random_uuid(),
    customer_id                uuid not null references raw_ops.customers,
    slug                       text not null,
    display_name               text,
    total_referrals            integer default 0,
    successful_referrals       integer default 0,
    total_rewards_earned_pence integer default 0,
    is_active                  boolean default true,
    paused_at                  timestamptz,
    paused_reason              text,
    created_at                 timestamptz default now(),
    updated_at                 timestamptz default now(),
    constraint referral_codes_slug_key unique (slug),
    constraint unique_customer_referral_code unique (customer_id)
);
comment on table raw_ops.referral_codes is 'Referral code definitions';

create index idx_referral_codes_active on raw_ops.referral_codes (is_active) where is_active;

create table raw_ops.referrals (
    id                        uuid primary key default gen_random_uuid(),
    referral_code_id          uuid not null references raw_ops.referral_codes,
    referrer_customer_id      uuid not null references raw_ops.customers,
    referee_customer_id       uuid references raw_ops.customers,
    referee_email             text not null check (referee_email = lower(btrim(referee_email))),
    referee_order_id          uuid references raw_ops.orders,
    referee_first_delivery_at timestamptz,
    status                    text not null default 'pending'
        check (status in ('pending', 'flagged', 'confirmed', 'rewarded', 'rejected', 'expired')),
    fraud_flags               jsonb default '[]',
    fraud_checked_at          timestamptz,
    referrer_reward_id        uuid,
    created_at                timestamptz default now(),
    confirmed_at              timestamptz,
    rewarded_at               timestamptz,
    updated_at                timestamptz default now(),
    credit_id                 uuid references raw_ops.customer_credits,
    constraint unique_referee_email unique (referee_email),
    constraint referrals_not_of_oneself check (referee_customer_id <> referrer_customer_id)
);
comment on table raw_ops.referrals is 'Referral relationship records';
comment on column raw_ops.referrals.referee_email is 'Lower case. A person is referred once.';
comment on column raw_ops.referrals.credit_id is
    'The reward in force; referrer_reward_id belongs to the codes given before.';

create index idx_referrals_credit_id on raw_ops.referrals (credit_id) where credit_id is not null;
create index idx_referrals_pending on raw_ops.referrals (status, created_at) where status = 'pending';
create index idx_referrals_referee_customer_id on raw_ops.referrals (referee_customer_id);
create index idx_referrals_referral_code_id on raw_ops.referrals (referral_code_id);
create index idx_referrals_referrer_customer_id on raw_ops.referrals (referrer_customer_id);
create index idx_referrals_status on raw_ops.referrals (status);

create table raw_ops.referral_rewards (
    id                  uuid primary key default gen_random_uuid(),
    customer_id         uuid not null references raw_ops.customers,
    referral_id         uuid not null references raw_ops.referrals,
    discount_code       text not null,
    amount_pence        integer not null default 1500,
    is_used             boolean default false,
    used_at             timestamptz,
    used_order_id       uuid references raw_ops.orders,
    expires_at          timestamptz not null,
    is_expired          boolean default false,
    shopify_discount_id text,
    shopify_synced_at   timestamptz,
    created_at          timestamptz default now(),
    constraint referral_rewards_discount_code_key unique (discount_code)
);
comment on table raw_ops.referral_rewards is 'Referral reward issuance records';
comment on column raw_ops.referral_rewards.discount_code is
    'Read only: rewards are customer_credits now, these codes were given before.';

create index idx_referral_rewards_customer_id on raw_ops.referral_rewards (customer_id);
create index idx_referral_rewards_expiring on raw_ops.referral_rewards (expires_at)
    where not is_used and not is_expired;
create index idx_referral_rewards_referral_id on raw_ops.referral_rewards (referral_id);
create index idx_referral_rewards_unused on raw_ops.referral_rewards (customer_id, is_used, is_expired)
    where not is_used and not is_expired;

alter table raw_ops.referrals
    add constraint referrals_referrer_reward_id_fkey foreign key (referrer_reward_id) references raw_ops.referral_rewards;
alter table raw_ops.orders
    add constraint orders_referral_id_fkey foreign key (referral_id) references raw_ops.referrals;

create table raw_ops.referral_events (
    id               uuid primary key default gen_random_uuid(),
    event_type       text not null,
    referral_id      uuid references raw_ops.referrals,
    referral_code_id uuid references raw_ops.referral_codes,
    reward_id        uuid references raw_ops.referral_rewards,
    order_id         uuid references raw_ops.orders,
    customer_id      uuid references raw_ops.customers,
    payload          jsonb not null default '{}',
    created_at       timestamptz default now()
);
comment on table raw_ops.referral_events is 'Referral lifecycle events';

create index idx_referral_events_created on raw_ops.referral_events (created_at desc);
create index idx_referral_events_order_id on raw_ops.referral_events (order_id) where order_id is not null;
create index idx_referral_events_referral_id on raw_ops.referral_events (referral_id) where referral_id is not null;
create index idx_referral_events_type on raw_ops.referral_events (event_type, created_at desc);
