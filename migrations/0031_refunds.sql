-- Refunds, replacements and notes on orders (registry 1.7 and 1.1).
--
-- Locks: creates new objects; share-row-exclusive on customers, orders and support_tickets for the foreign keys, for a moment.

create table raw_ops.refunds (
    id                uuid primary key default gen_random_uuid(),
    created_at        timestamptz default now(),
    order_id          uuid references raw_ops.orders,
    customer_id       uuid references raw_ops.customers,
    support_ticket_id uuid references raw_ops.support_tickets,
    shopify_refund_id text,
    amount_gbp        numeric(12, 2) not null check (amount_gbp > 0),
    refund_type       text not null,
    reason            text not null,
    processed_by      text,
    processed_at      timestamptz,
    status            text default 'pending'
        check (status in ('pending', 'approved', 'processing', 'processed', 'failed', 'rejected')),
    internal_note     text,
    customer_notified boolean default false,
    shopify_order_id  text,
    shopify_synced    boolean default false,
    shopify_synced_at timestamptz,
    shopify_error     text,
    notes             text
);
comment on table raw_ops.refunds is 'Refund records and processing status';
comment on column raw_ops.refunds.shopify_refund_id is
    'Shopify is asked with an idempotency key made of id, so a retry refunds nothing twice.';

create index idx_refunds_created_at on raw_ops.refunds (created_at desc);
create index idx_refunds_customer on raw_ops.refunds (customer_id);
create index idx_refunds_order on raw_ops.refunds (order_id);
create index idx_refunds_status on raw_ops.refunds (status) where status = 'pending';
create index idx_refunds_ticket on raw_ops.refunds (support_ticket_id);

create table raw_ops.replacement_requests (
    id                   uuid primary key default gen_random_uuid(),
    created_at           timestamptz default now(),
    ticket_id            uuid not null references raw_ops.support_tickets,
    customer_id          uuid not null references raw_ops.customers,
    original_order_id    uuid not null references raw_ops.orders,
    reason               text not null,
    agent_notes          text,
    status               text default 'pending'
        check (status in ('pending', 'approved', 'rejected', 'fulfilled', 'cancelled')),
    reviewed_at          timestamptz,
    reviewed_by          text,
    review_notes         text,
    replacement_order_id uuid references raw_ops.orders,
    fulfilled_at         timestamptz
);
comment on table raw_ops.replacement_requests is 'Product replacement request records';

create index idx_replacement_requests_customer on raw_ops.replacement_requests (customer_id);
create index idx_replacement_requests_pending on raw_ops.replacement_requests (created_at) where status = 'pending';
create index idx_replacement_requests_status on raw_ops.replacement_requests (status);

create table raw_ops.order_notes (
    id                uuid primary key default gen_random_uuid(),
    created_at        timestamptz default now(),
    order_id          uuid not null references raw_ops.orders,
    author            text not null,
    note              text not null,
    note_type         text default 'general',
    support_ticket_id uuid references raw_ops.support_tickets,
    refund_id         uuid references raw_ops.refunds
);
comment on table raw_ops.order_notes is 'Internal notes attached to orders';

create index idx_order_notes_created on raw_ops.order_notes (created_at desc);
create index idx_order_notes_order on raw_ops.order_notes (order_id);
