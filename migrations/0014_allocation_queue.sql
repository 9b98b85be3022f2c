-- The orders that wait for stock (registry 1.2).
--
-- This is the business record; the engine's job `allocation.allocate_order` is what works on it.
-- Locks: creates new objects; share-row-exclusive on orders and order_items for the foreign keys, both new.

create table raw_ops.allocation_queue (
    id uuid primary key default gen_random_uuid(),
    order_id uuid not null references raw_ops.orders,
    order_item_id uuid references raw_ops.order_items on delete cascade,
    priority integer default 100,
    state text not null default 'pending',
    attempts integer default 0,
    max_attempts integer default 5,
    last_error text,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    completed_at timestamptz
);
comment on table raw_ops.allocation_queue is 'Pending allocation requests';
comment on column raw_ops.allocation_queue.order_item_id is 'Null when the request is for the whole order.';

create index idx_allocation_queue_order on raw_ops.allocation_queue (order_id);
create index idx_allocation_queue_pending on raw_ops.allocation_queue (priority, created_at) where state = 'pending';
create index idx_allocation_queue_state on raw_ops.allocation_queue (state, created_at);
create index idx_allocation_queue_item on raw_ops.allocation_queue (order_item_id) where order_item_id is not null;
