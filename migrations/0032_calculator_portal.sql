-- The feeding calculator, its discounts, and sessions of the portal (registry 1.8).
--
-- calculator_discounts is live; calculator_tokens holds what was calculated before it.
-- Locks: creates new objects; share-row-exclusive on customers for the foreign keys, for a moment.

create table raw_ops.calculator_tokens (
    id                    uuid primary key default gen_random_uuid(),
    token                 uuid not null default gen_random_uuid(),
    box_size              text not null,
    daily_grams           integer not null,
    delivery_weeks        integer not null,
    status                text not null default 'pending'
        check (status in ('pending', 'validated', 'used', 'expired')),
    email                 text,
    address_line_1        text,
    shopify_discount_code text,
    shopify_price_rule_id text,
    created_at            timestamptz not null default now(),
    validated_at          timestamptz,
    used_at               timestamptz,
    expires_at            timestamptz not null default now() + interval '30 days',
    user_agent            text,
    ip_address            inet,
    constraint calculator_tokens_token_key unique (token)
);
comment on table raw_ops.calculator_tokens is 'Calculator session tokens';
comment on column raw_ops.calculator_tokens.expires_at is 'Read only table: new calculations are calculator_discounts.';

create index idx_calculator_tokens_status on raw_ops.calculator_tokens (status, created_at)
    where status in ('pending', 'validated');
create index idx_calculator_tokens_token on raw_ops.calculator_tokens (token) where status <> 'used';

create table raw_ops.calculator_discounts (
    id                    uuid primary key default gen_random_uuid(),
    token                 text not null,
    box_size              text not null,
    daily_grams           integer not null,
    delivery_weeks        integer not null,
    regular_price         integer not null,
    discounted_price      integer not null,
    used                  boolean default false,
    used_at               timestamptz,
    email                 text,
    address_line_1        text,
    discount_code         text,
    fraud_flag            boolean default false,
    fraud_reason          text,
    created_at            timestamptz default now(),
    expires_at            timestamptz default now() + interval '72 hours',
    postcode              text,
    address               text,
    pet_count             integer default 1,
    household_total_gbp   integer,
    household_daily_grams integer,
    dog_name              text,
    abandonment_sent_at   timestamptz,
    calculated_mer        integer,
    previous_diet         text,
    constraint calculator_discounts_token_key unique (token)
);
comment on table raw_ops.calculator_discounts is 'Calculator discount definitions';
comment on column raw_ops.calculator_discounts.regular_price is 'Pence.';
comment on column raw_ops.calculator_discounts.discounted_price is 'Pence.';
comment on column raw_ops.calculator_discounts.household_total_gbp is 'Whole pounds.';
comment on column raw_ops.calculator_discounts.calculated_mer is 'Kilocalories a day.';

create index idx_calculator_discounts_abandonment_queue on raw_ops.calculator_discounts (created_at)
    where not used and abandonment_sent_at is null and email is not null and discount_code is not null;
create index idx_calculator_discounts_address on raw_ops.calculator_discounts (address_line_1);
create index idx_calculator_discounts_email on raw_ops.calculator_discounts (email);
create index idx_calculator_discounts_expires on raw_ops.calculator_discounts (expires_at);
create index idx_calculator_discounts_postcode on raw_ops.calculator_discounts (postcode);
create index idx_calculator_discounts_used on raw_ops.calculator_discounts (used);

create table raw_ops.calculator_pets (
    id                uuid primary key default gen_random_uuid(),
    discount_id       uuid not null references raw_ops.calculator_discounts on delete cascade,
    pet_number        integer not null,
    pet_name          text,
    life_stage        text not null,
    weight_kg         numeric not null check (weight_kg between 0.5 and 100),
    age_range         text,
    neutered          boolean,
    activity_level    text not null,
    body_condition    text,
    calculated_rer    numeric not null,
    calculated_mer    numeric not null,
    daily_grams       integer not null,
    monthly_price_gbp integer not null,
    created_at        timestamptz default now(),
    constraint unique_pet_per_discount unique (discount_id, pet_number)
);
comment on table raw_ops.calculator_pets is 'Pet profiles from calculator';
comment on column raw_ops.calculator_pets.monthly_price_gbp is 'Whole pounds.';
comment on column raw_ops.calculator_pets.daily_grams is 'Grams of food a day.';
comment on column raw_ops.calculator_pets.calculated_rer is 'Kilocalories a day at rest.';
comment on column raw_ops.calculator_pets.calculated_mer is 'Kilocalories a day.';

create index idx_calculator_pets_discount on raw_ops.calculator_pets (discount_id);

create table raw_ops.calculator_discount_usage (
    id             uuid primary key default gen_random_uuid(),
    email          text not null check (email = lower(btrim(email))),
    address_line_1 text not null,
    token_id       uuid references raw_ops.calculator_tokens,
    used_at        timestamptz not null default now(),
    constraint calculator_discount_usage_email_address_line_1_key unique (email, address_line_1),
    constraint calculator_discount_usage_address_normalised
        check (address_line_1 = lower(regexp_replace(btrim(address_line_1), '\s+', ' ', 'g')))
);
comment on table raw_ops.calculator_discount_usage is 'Calculator discount usage tracking';
comment on column raw_ops.calculator_discount_usage.address_line_1 is
    'Lower case, single spaces: one discount a mail address and household.';

create table raw_ops.portal_sessions (
    id               uuid primary key default gen_random_uuid(),
    customer_id      uuid not null references raw_ops.customers on delete cascade,
    token            text not null,
    created_at       timestamptz not null default now(),
    expires_at       timestamptz not null default now() + interval '7 days',
    last_accessed_at timestamptz,
    ip_address       text,
    user_agent       text,
    constraint portal_sessions_token_key unique (token)
);
comment on table raw_ops.portal_sessions is 'Customer/ops portal session tracking';

create index idx_portal_sessions_customer on raw_ops.portal_sessions (customer_id);
create index idx_portal_sessions_expires on raw_ops.portal_sessions (expires_at);
