-- How customers fare: surveys, scores, interventions and praise (registry 1.4).
--
-- Locks: creates new objects; share-row-exclusive on customers and support_tickets for the foreign keys, for a moment.

create table raw_ops.csat_responses (
    id             uuid primary key default gen_random_uuid(),
    ticket_id      uuid not null references raw_ops.support_tickets,
    customer_id    uuid not null references raw_ops.customers,
    rating         integer not null check (rating between 1 and 5),
    comment        text,
    submitted_at   timestamptz default now(),
    submitted_from text default 'email_link',
    constraint csat_responses_ticket_id_key unique (ticket_id)
);
comment on table raw_ops.csat_responses is 'Customer satisfaction survey responses';

create index idx_csat_responses_rating on raw_ops.csat_responses (rating);
create index idx_csat_responses_submitted_at on raw_ops.csat_responses (submitted_at desc);

create table raw_ops.customer_health_scores (
    id                     uuid primary key default gen_random_uuid(),
    customer_id            uuid not null references raw_ops.customers,
    health_score           integer not null,
    risk_tier              text not null check (risk_tier in ('healthy', 'watch', 'at_risk', 'critical')),
    previous_score         integer,
    previous_tier          text,
    score_delta            integer,
    tier_changed           boolean,
    delivery_score         integer not null,
    engagement_score       integer not null,
    support_score          integer not null,
    payment_score          integer not null,
    tenure_score           integer not null,
    skip_score             integer not null,
    delivery_issues_count  integer default 0,
    skipped_boxes_count    integer default 0,
    support_tickets_count  integer default 0,
    portal_logins_count    integer default 0,
    proof_scans_count      integer default 0,
    email_opens_count      integer default 0,
    payment_failures_count integer default 0,
    subscription_age_days  integer,
    total_orders_delivered integer,
    lifetime_value_pence   integer,
    calculated_at          timestamptz not null default now(),
    calculation_version    text not null default '1.0',
    created_at             timestamptz not null default now(),
    updated_at             timestamptz not null default now(),
    constraint unique_customer_health unique (customer_id)
);
comment on table raw_ops.customer_health_scores is 'Computed customer health metrics';
comment on column raw_ops.customer_health_scores.calculation_version is
    'Weights are versioned settings; this row was computed with these.';

create index idx_health_scores_at_risk on raw_ops.customer_health_scores (customer_id, health_score)
    where risk_tier in ('at_risk', 'critical');
create index idx_health_scores_calculated on raw_ops.customer_health_scores (calculated_at);
create index idx_health_scores_score on raw_ops.customer_health_scores (health_score);
create index idx_health_scores_tier on raw_ops.customer_health_scores (risk_tier);
create index idx_health_scores_tier_changed on raw_ops.customer_health_scores (customer_id) where tier_changed;

create table raw_ops.customer_interventions (
    id                uuid primary key default gen_random_uuid(),
    customer_id       uuid not null references raw_ops.customers,
    intervention_type text not null,
    trigger_component text not null,
    trigger_value     integer not null,
    created_at        timestamptz not null default now()
);
comment on table raw_ops.customer_interventions is 'Proactive customer intervention records';

create index idx_customer_interventions_lookup
    on raw_ops.customer_interventions (customer_id, intervention_type, created_at desc);

create table raw_ops.customer_engagement_events (
    id             uuid primary key default gen_random_uuid(),
    customer_id    uuid not null references raw_ops.customers,
    event_type     text not null,
    event_source   text not null default 'system',
    event_metadata jsonb default '{}',
    created_at     timestamptz not null default now()
);
comment on table raw_ops.customer_engagement_events is 'Customer engagement activity tracking';

create index idx_engagement_created on raw_ops.customer_engagement_events (created_at desc);
create index idx_engagement_customer on raw_ops.customer_engagement_events (customer_id);
create index idx_engagement_customer_created on raw_ops.customer_engagement_events (customer_id, created_at desc);
create index idx_engagement_type on raw_ops.customer_engagement_events (event_type);

create table raw_ops.testimonials (
    id                        uuid primary key default gen_random_uuid(),
    customer_id               uuid not null references raw_ops.customers,
    source_ticket_id          uuid references raw_ops.support_tickets,
    source_type               text not null default 'email_reply',
    original_text             text not null,
    approved_quote            text,
    display_city              text,
    status                    text not null default 'flagged'
        check (status in ('flagged', 'requested', 'approved', 'declined')),
    flagged_at                timestamptz default now(),
    flagged_by                text,
    request_sent_at           timestamptz,
    request_email_delivery_id text,
    approved_at               timestamptz,
    approval_method           text,
    is_featured               boolean default false,
    display_order             integer,
    created_at                timestamptz default now(),
    updated_at                timestamptz default now()
);
comment on table raw_ops.testimonials is 'Customer testimonials and reviews';

create index idx_testimonials_customer on raw_ops.testimonials (customer_id);
create index idx_testimonials_featured on raw_ops.testimonials (is_featured)
    where status = 'approved' and is_featured;
create index idx_testimonials_status on raw_ops.testimonials (status);
