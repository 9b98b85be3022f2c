-- Monitors, alerts, exceptions and the operators' audit trail (registry 1.11).
--
-- Locks: creates new objects; share-row-exclusive on customers, orders, shipments, batches and
-- support_tickets for the foreign keys, for a moment.

create table raw_ops.monitoring_runs (
    id              uuid primary key default gen_random_uuid(),
    check_name      text not null,
    run_at          timestamptz not null default now(),
    duration_ms     integer,
    status          text not null default 'running' check (status in ('running', 'success', 'error')),
    result_summary  text,
    result_json     jsonb,
    alert_triggered boolean default false,
    error_message   text
);
comment on table raw_ops.monitoring_runs is 'Monitor execution history';

create index idx_monitoring_runs_check_run on raw_ops.monitoring_runs (check_name, run_at desc);
create index idx_monitoring_runs_errors on raw_ops.monitoring_runs (status, run_at desc) where status = 'error';

create table raw_ops.alert_log (
    id                uuid primary key default gen_random_uuid(),
    sent_at           timestamptz not null default now(),
    channel           text not null check (channel in ('ops-alerts', 'ops-urgent', 'daily-ops')),
    severity          text not null check (severity in ('info', 'warning', 'critical')),
    title             text not null,
    source_check      text,
    monitoring_run_id uuid references raw_ops.monitoring_runs,
    payload_json      jsonb not null,
    delivery_status   text default 'pending' check (delivery_status in ('pending', 'sent', 'failed', 'suppressed')),
    delivery_response text,
    retry_count       integer default 0,
    idempotency_key   text
);
comment on table raw_ops.alert_log is 'Alert delivery log';
comment on column raw_ops.alert_log.idempotency_key is
    'Not unique: an alert is sent again once its cool-down window is over.';

create index idx_alert_log_channel_sent on raw_ops.alert_log (channel, sent_at desc);
create index idx_alert_log_failed on raw_ops.alert_log (delivery_status, sent_at desc)
    where delivery_status = 'failed';
create index idx_alert_log_idempotency on raw_ops.alert_log (idempotency_key, sent_at desc)
    where idempotency_key is not null;

create table raw_ops.address_changes (
    id                uuid primary key default gen_random_uuid(),
    created_at        timestamptz default now(),
    customer_id       uuid not null references raw_ops.customers,
    changed_by        text not null,
    agent_email       text,
    old_address       jsonb not null,
    new_address       jsonb not null,
    support_ticket_id uuid references raw_ops.support_tickets,
    source            text not null,
    shopify_synced    boolean default false,
    shopify_synced_at timestamptz,
    seal_synced       boolean default false,
    seal_synced_at    timestamptz,
    reason            text
);
comment on table raw_ops.address_changes is 'Track address updates for sync';
comment on column raw_ops.address_changes.shopify_synced is
    'Both systems are told by jobs that start with the row; the flags say what is done.';

create index idx_address_changes_created on raw_ops.address_changes (created_at desc);
create index idx_address_changes_customer on raw_ops.address_changes (customer_id);

create table raw_ops.exceptions_queue (
    id                uuid primary key default gen_random_uuid(),
    order_id          uuid not null references raw_ops.orders,
    shipment_id       uuid references raw_ops.shipments,
    issue_type        text not null,
    issue_description text not null,
    raw_data          jsonb,
    resolved          boolean not null default false,
    resolved_at       timestamptz,
    resolved_by       text,
    created_at        timestamptz not null default now()
);
comment on table raw_ops.exceptions_queue is 'Operational exceptions requiring attention';

create index idx_exceptions_queue_unresolved on raw_ops.exceptions_queue (resolved, created_at) where not resolved;

create table raw_ops.manual_override_audit (
    id               uuid primary key default gen_random_uuid(),
    batch_id         uuid not null references raw_ops.batches,
    batch_code       text not null,
    override_type    text not null,
    old_status       text,
    new_status       text,
    requester_name   text not null,
    approver_name    text not null,
    justification    text not null,
    evidence_pdf_url text not null,
    created_at       timestamptz default now(),
    constraint manual_override_audit_two_people check (lower(btrim(requester_name)) <> lower(btrim(approver_name)))
);
comment on table raw_ops.manual_override_audit is 'Audit trail for manual overrides';
comment on column raw_ops.manual_override_audit.approver_name is 'Another person than the requester.';

create index idx_manual_override_audit_batch_id on raw_ops.manual_override_audit (batch_id);
create index idx_manual_override_audit_created_at on raw_ops.manual_override_audit (created_at desc);

create table raw_ops.partner_contacts (
    target       text primary key,
    contact_name text,
    email        text not null,
    cc           text,
    created_at   timestamptz not null default now()
);
comment on table raw_ops.partner_contacts is 'Partner/supplier contact directory';

create table raw_ops.invoice_parsing_jobs (
    id                     uuid primary key default gen_random_uuid(),
    status                 text not null default 'pending'
        check (status in ('pending', 'processing', 'completed', 'failed', 'failed_review')),
    invoice_pdf_url        text not null,
    sender_email           text,
    invoice_type           text,
    parsed_data            jsonb,
    confidence_score       numeric,
    last_error             text,
    created_at             timestamptz default now(),
    processed_at           timestamptz,
    processing_duration_ms integer
);
comment on table raw_ops.invoice_parsing_jobs is 'Invoice PDF parsing job tracking';

create index idx_invoice_jobs_created on raw_ops.invoice_parsing_jobs (created_at desc);
create index idx_invoice_jobs_failed_review on raw_ops.invoice_parsing_jobs (status, created_at)
    where status = 'failed_review';
create index idx_invoice_jobs_performance on raw_ops.invoice_parsing_jobs (processed_at, processing_duration_ms)
    where processing_duration_ms is not null;
create index idx_invoice_jobs_status on raw_ops.invoice_parsing_jobs (status);
create index idx_invoice_jobs_type on raw_ops.invoice_parsing_jobs (invoice_type);
