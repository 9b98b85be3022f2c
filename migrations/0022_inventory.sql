-- Stock: what there is, what moved, and which batch each order line gets (registry 1.2).
--
-- The units in batches are the truth; inventory (kg) and inventory_on_hand (units a SKU) follow from them.
-- Locks: creates new objects; share-row-exclusive on order_items and batches for the foreign keys, for a moment.
-- Access exclusive on allocation_queue while its states are checked.

create table raw_ops.inventory (
    id           uuid primary key default gen_random_uuid(),
    batch_id     uuid not null references raw_ops.batches,
    location     text not null,
    kg_available numeric not null check (kg_available >= 0),
    updated_at   timestamptz not null default now(),
    constraint inventory_batch_id_location_key unique (batch_id, location)
);
comment on table raw_ops.inventory is 'Stock levels by batch and location';
comment on column raw_ops.inventory.kg_available is
    'Derived from batches.qty_on_hand and products.kg; a monitor reconciles them.';

create table raw_ops.inventory_movements (
    id             uuid primary key default gen_random_uuid(),
    sku            text not null,
    movement_type  text not null,
    qty_change     integer not null,
    qty_before     integer not null,
    qty_after      integer not null,
    reference_id   uuid,
    reference_type text,
    notes          text,
    created_at     timestamptz not null default now(),
    constraint inventory_movements_add_up check (qty_after = qty_before + qty_change)
);
comment on table raw_ops.inventory_movements is 'Complete audit trail of inventory changes';
comment on column raw_ops.inventory_movements.reference_id is
    'The batch for a movement of stock of a batch; reference_type says what it is.';
comment on column raw_ops.inventory_movements.qty_change is 'Units; positive is stock coming in.';

create index idx_inventory_movements_created_at on raw_ops.inventory_movements (created_at desc);
create index idx_inventory_movements_sku on raw_ops.inventory_movements (sku);

create table raw_ops.inventory_on_hand (
    id            uuid primary key default gen_random_uuid(),
    sku           text not null,
    qty_available integer not null default 0 check (qty_available >= 0),
    location      text default '3PL-PRIMARY',
    updated_at    timestamptz not null default now(),
    created_at    timestamptz not null default now(),
    constraint inventory_on_hand_sku_key unique (sku)
);
comment on table raw_ops.inventory_on_hand is 'Current on-hand inventory snapshot';
comment on column raw_ops.inventory_on_hand.qty_available is
    'Units per SKU over all batches that are released; derived, a monitor reconciles it.';

create table raw_ops.inventory_planning_config (
    id           uuid primary key default gen_random_uuid(),
    config_key   text not null,
    config_value numeric not null,
    description  text,
    updated_at   timestamptz default now(),
    updated_by   text,
    constraint inventory_planning_config_config_key_key unique (config_key)
);
comment on table raw_ops.inventory_planning_config is 'Inventory planning parameters';

create table raw_ops.allocations (
    id                  uuid primary key default raw_ops.uuid_generate_v4(),
    order_item_id       uuid not null references raw_ops.order_items,
    batch_id            uuid not null references raw_ops.batches,
    qty_allocated       numeric not null check (qty_allocated > 0),
    created_at          timestamptz not null default now(),
    is_partial          boolean default false,
    allocation_group_id uuid,
    remaining_qty       integer default 0
);
comment on table raw_ops.allocations is 'Links order items to batches (FEFO)';
comment on column raw_ops.allocations.qty_allocated is 'Units of the batch that this line takes.';
comment on column raw_ops.allocations.remaining_qty is
    'Units of the line that were still without stock after this allocation.';
comment on column raw_ops.allocations.allocation_group_id is 'Shared by the allocations of one run for one order.';

create index idx_allocations_batch on raw_ops.allocations (batch_id);
create index idx_allocations_batch_lookup on raw_ops.allocations (order_item_id, batch_id);
create index idx_allocations_batch_tracking on raw_ops.allocations (batch_id, qty_allocated);
create index idx_allocations_group on raw_ops.allocations (allocation_group_id) where allocation_group_id is not null;
create index idx_allocations_item_lookup on raw_ops.allocations (order_item_id);

alter table raw_ops.allocation_queue add constraint allocation_queue_state_check
    check (state in ('pending', 'processing', 'completed', 'failed', 'cancelled'));

create table raw_ops.allocation_alert_config (
    id              uuid primary key default gen_random_uuid(),
    alert_type      text not null,
    threshold_value numeric not null,
    enabled         boolean default true,
    description     text,
    created_at      timestamptz default now(),
    updated_at      timestamptz default now(),
    constraint allocation_alert_config_alert_type_key unique (alert_type)
);
comment on table raw_ops.allocation_alert_config is 'Alert thresholds for allocation monitoring';

create table raw_ops.allocation_alert_history (
    id          uuid primary key default gen_random_uuid(),
    alert_type  text not null,
    severity    text not null check (severity in ('info', 'warning', 'critical')),
    message     text not null,
    details     jsonb,
    resolved_at timestamptz,
    created_at  timestamptz default now()
);
comment on table raw_ops.allocation_alert_history is 'History of allocation alerts triggered';

create index idx_alert_history_created on raw_ops.allocation_alert_history (created_at desc);
create index idx_alert_history_unresolved on raw_ops.allocation_alert_history (alert_type, created_at desc)
    where resolved_at is null;
