-- Settings, the retry policy, dead letters, schedules and the operational log (registry 1.11).
--
-- retry_config and dead_letter_queue are what the engine works with: the last migration of this group puts the
-- engine's names over them. The columns beyond the registry are the engine's.
-- Locks: creates new objects only.

create table raw_ops.config (
    key text primary key,
    value_numeric numeric,
    value_text text,
    description text,
    updated_at timestamptz default now()
);
comment on table raw_ops.config is 'Application configuration key-value store';

create table raw_ops.system_config (
    key text primary key,
    value text not null,
    created_at timestamptz default now(),
    updated_at timestamptz default now()
);
comment on table raw_ops.system_config is 'System-level configuration';

create table raw_ops.retry_config (
    error_category text primary key,
    max_attempts integer not null check (max_attempts > 0),
    backoff_seconds integer[] not null
        check (cardinality(backoff_seconds) > 0 and 0 <= all (backoff_seconds) and array_position(backoff_seconds, null) is null),
    alert_on_attempt integer,
    escalate_on_attempt integer,
    description text,
    created_at timestamptz not null default now(),
    version integer not null default 1
);
comment on table raw_ops.retry_config is 'Retry policy configuration';
comment on column raw_ops.retry_config.backoff_seconds is 'Seconds before each retry; the last one repeats.';
comment on column raw_ops.retry_config.version is 'Counts the edits; each attempt records the version that decided.';

create table raw_ops.dead_letter_queue (
    id uuid primary key default raw_ops.uuid_generate_v4(),
    source text not null,
    topic text not null,
    payload jsonb not null,
    error_message text,
    retries integer not null default 0,
    created_at timestamptz not null default now(),
    resolved boolean not null default false,
    resolved_at timestamptz,
    job_id bigint,
    queue text,
    category text,
    fingerprint text,
    attempts integer,
    priority smallint,
    unique_key text,
    limit_key text,
    requeued_job_id bigint,
    resolved_by text,
    resolution text
);
comment on table raw_ops.dead_letter_queue is 'Failed messages for manual review';
comment on column raw_ops.dead_letter_queue.topic is 'The kind of the job.';
comment on column raw_ops.dead_letter_queue.payload is 'The arguments of the job.';
comment on column raw_ops.dead_letter_queue.fingerprint is 'Equal for failures with one cause.';

create index dead_letter_queue_open on raw_ops.dead_letter_queue (created_at desc) where not resolved;
create index dead_letter_queue_job on raw_ops.dead_letter_queue (job_id) where job_id is not null;

create table raw_ops.cron_jobs_metadata (
    jobname text primary key,
    description text,
    schedule text,
    created_at timestamptz default now()
);
comment on table raw_ops.cron_jobs_metadata is 'Cron job execution metadata';

create table raw_ops.ops_events (
    id uuid primary key default gen_random_uuid(),
    entity_type text not null,
    entity_id uuid not null,
    kind text not null,
    message text not null,
    created_at timestamptz not null default now(),
    meta jsonb,
    slack_notified_at timestamptz,
    processed_at timestamptz,
    customer_event_type text,
    event_payload jsonb,
    source_system text,
    source_id uuid,
    processing_time_ms integer
);
comment on table raw_ops.ops_events is 'Operational event log (audit trail)';
comment on column raw_ops.ops_events.entity_id is 'The entity''s own id where that is a uuid, else a uuid made of its table and id, with the real id in meta.';

create index idx_ops_events_allocations on raw_ops.ops_events (kind, created_at desc)
    where kind = any (array['allocation_success', 'allocation_warning', 'allocation_partial']);
create index idx_ops_events_cold_chain on raw_ops.ops_events (kind, created_at desc)
    where kind = any (array['TEMPERATURE_LOGGED', 'TEMPERATURE_ALERT', 'PACKAGING_ASSIGNED']);
create index idx_ops_events_courier_unprocessed on raw_ops.ops_events (created_at)
    where processed_at is null and kind = 'CUSTOMER_EVENT' and customer_event_type = 'courier_exception';
create index idx_ops_events_customer_polling on raw_ops.ops_events (kind, processed_at, created_at)
    where kind = 'CUSTOMER_EVENT';
create index idx_ops_events_kind_created on raw_ops.ops_events (kind, created_at desc);
create index idx_ops_events_slack_notified on raw_ops.ops_events (slack_notified_at)
    where entity_type = 'SHIPMENT' and kind = 'EXCEPTION';
create index idx_ops_events_source on raw_ops.ops_events (source_system, source_id);
create index idx_ops_events_entity on raw_ops.ops_events (entity_id, created_at desc);
