-- Parcels on their way: carrier events and temperatures (registry 1.3).
--
-- Beyond the registry: an event of a parcel is stored once, and stock_dispatches says which allocations have left.
-- Locks: creates new objects; share-row-exclusive on orders, batches and allocations for the foreign keys, for a moment.

create table raw_ops.shipments (
    id                      uuid primary key default gen_random_uuid(),
    order_id                uuid not null references raw_ops.orders,
    batch_id                uuid references raw_ops.batches,
    courier                 text,
    tracking_no             text,
    status                  raw_ops.shipment_status not null default 'CREATED',
    dispatched_at           timestamptz,
    delivered_at            timestamptz,
    address_json            jsonb,
    created_at              timestamptz not null default now(),
    courier_cost_gbp        numeric(12, 2),
    packaging_cost_gbp      numeric(12, 2),
    coolant_cost_gbp        numeric(12, 2),
    service                 text,
    dispatch_temp_recorded  numeric,
    coolant_units_used      smallint,
    courier_temp_compliance varchar(20) default 'PENDING'
        check (courier_temp_compliance in ('PENDING', 'COMPLIANT', 'BREACH', 'UNKNOWN'))
);
comment on table raw_ops.shipments is 'Dispatch and tracking data';
comment on column raw_ops.shipments.tracking_no is
    'Carriers use numbers again within months: unique among parcels on the way; match the newest.';
comment on column raw_ops.shipments.batch_id is
    'Set when all of the parcel is of one batch; otherwise the allocations of the order say it.';
comment on column raw_ops.shipments.dispatch_temp_recorded is 'Degrees Celsius.';

create index idx_shipments_batch_id on raw_ops.shipments (batch_id);
create index idx_shipments_created_at on raw_ops.shipments (created_at desc);
create index idx_shipments_dispatched_at_desc on raw_ops.shipments (dispatched_at desc);
create index idx_shipments_order_id on raw_ops.shipments (order_id);
create index idx_shipments_status_active on raw_ops.shipments (status) where status not in ('DELIVERED', 'RETURNED');
create index idx_shipments_temp_audit on raw_ops.shipments (courier_temp_compliance, created_at)
    where dispatch_temp_recorded is not null;
create index idx_shipments_tracking_no on raw_ops.shipments (tracking_no);
create unique index idx_shipments_tracking_no_unique on raw_ops.shipments (tracking_no)
    where tracking_no is not null and status not in ('DELIVERED', 'RETURNED');
create index shipments_status_dispatched_at_idx on raw_ops.shipments (status, dispatched_at);

-- Stock leaves once: the row that takes it is the proof that it was taken, however often a shipment is marked dispatched.
create table raw_ops.stock_dispatches (
    allocation_id uuid primary key references raw_ops.allocations,
    shipment_id   uuid not null references raw_ops.shipments,
    qty           numeric not null check (qty > 0),
    dispatched_at timestamptz not null default now()
);
comment on table raw_ops.stock_dispatches is 'Allocations whose stock has left with a shipment';

create index idx_stock_dispatches_shipment on raw_ops.stock_dispatches (shipment_id);

create table raw_ops.courier_events (
    id                             uuid primary key default gen_random_uuid(),
    shipment_id                    uuid not null references raw_ops.shipments,
    event_code                     text not null,
    event_text                     text,
    event_time                     timestamptz not null,
    raw_payload                    jsonb,
    event_type                     varchar(50),
    requires_customer_notification boolean default false,
    customer_notified_at           timestamptz,
    notification_channel           varchar(20),
    created_at                     timestamptz default now(),
    constraint courier_events_once unique (shipment_id, event_code, event_time)
);
comment on table raw_ops.courier_events is 'Courier tracking event log';
comment on column raw_ops.courier_events.event_time is
    'Moves a shipment forward only: a late scan never undoes DELIVERED or RETURNED.';

create index courier_events_event_time_idx on raw_ops.courier_events (event_time desc);
create index idx_courier_events_created_at on raw_ops.courier_events (created_at desc);
create index idx_courier_events_notification_pending
    on raw_ops.courier_events (requires_customer_notification, customer_notified_at) where requires_customer_notification;
create index idx_courier_events_shipment_id on raw_ops.courier_events (shipment_id);
create index idx_courier_events_shipment_recent on raw_ops.courier_events (shipment_id, event_time desc);

create table raw_ops.courier_event_mapping (
    id                             uuid primary key default gen_random_uuid(),
    courier_name                   varchar(50) not null,
    event_code                     text not null,
    event_type                     varchar(50) not null,
    requires_customer_notification boolean default false,
    notification_template_id       varchar(100),
    customer_message_short         text,
    internal_priority              varchar(20),
    created_at                     timestamptz default now(),
    constraint courier_event_mapping_courier_name_event_code_key unique (courier_name, event_code)
);
comment on table raw_ops.courier_event_mapping is 'Mapping of courier event codes to statuses';
comment on column raw_ops.courier_event_mapping.event_type is
    'Our word for the code. A code without a row here is stored as UNKNOWN and never told to a customer.';

create table raw_ops.temperature_audits (
    id                     uuid primary key default gen_random_uuid(),
    shipment_id            uuid not null references raw_ops.shipments,
    logger_core_csv_url    text,
    logger_corner_csv_url  text,
    arrival_core_celsius   numeric,
    arrival_corner_celsius numeric,
    pass_class             text,
    created_at             timestamptz not null default now()
);
comment on table raw_ops.temperature_audits is 'Temperature monitoring audit records';

create table raw_ops.temperature_logger_data (
    id                     bigint generated by default as identity primary key,
    order_id               uuid references raw_ops.orders,
    shipment_id            uuid references raw_ops.shipments,
    logger_id              text not null,
    logger_type            text default 'USB',
    readings               jsonb not null,
    min_temp_c             numeric,
    max_temp_c             numeric,
    avg_temp_c             numeric,
    time_above_5c_minutes  integer,
    time_above_10c_minutes integer,
    trip_start_at          timestamptz,
    trip_end_at            timestamptz,
    trip_duration_hours    numeric,
    cold_chain_intact      boolean,
    breach_detected        boolean default false,
    breach_details         text,
    data_uploaded_at       timestamptz default now(),
    data_source            text,
    raw_file_url           text,
    created_at             timestamptz default now()
);
comment on table raw_ops.temperature_logger_data is 'Raw temperature logger readings';
comment on column raw_ops.temperature_logger_data.time_above_5c_minutes is
    'For chilled goods; thresholds for frozen goods are settings.';

create index idx_temp_logger_cold_chain_intact on raw_ops.temperature_logger_data (cold_chain_intact);
create index idx_temp_logger_logger_id on raw_ops.temperature_logger_data (logger_id);
create index idx_temp_logger_order_id on raw_ops.temperature_logger_data (order_id);
create index idx_temp_logger_shipment_id on raw_ops.temperature_logger_data (shipment_id);
create index idx_temp_logger_uploaded_at on raw_ops.temperature_logger_data (data_uploaded_at desc);
