-- The public proof of a batch: its page, its files and who looked (registry 1.11).
--
-- Locks: creates new objects; share-row-exclusive on batches for the foreign keys, for a moment.

create table raw_ops.proof_artifacts (
    id                   uuid primary key default gen_random_uuid(),
    batch_id             uuid not null references raw_ops.batches,
    proof_url            text not null,
    qr_image_url         text,
    proof_insert_pdf_url text,
    proof_json_url       text,
    checksum             text,
    generated_at         timestamptz not null default now(),
    constraint proof_artifacts_batch_id_key unique (batch_id)
);
comment on table raw_ops.proof_artifacts is 'Proof portal generated assets';

create table raw_ops.proof_jobs (
    id                     uuid primary key default gen_random_uuid(),
    batch_id               uuid not null references raw_ops.batches,
    job_key                text not null,
    state                  text not null default 'queued'
        check (state in ('queued', 'running', 'completed', 'failed')),
    attempts               integer not null default 0,
    last_error             text,
    created_at             timestamptz not null default now(),
    updated_at             timestamptz not null default now(),
    processing_duration_ms integer,
    constraint proof_jobs_job_key_key unique (job_key)
);
comment on table raw_ops.proof_jobs is 'Proof generation job tracking';
comment on column raw_ops.proof_jobs.job_key is 'One job a batch and asset, for example qr or insert.';

create index idx_proof_jobs_batch_id on raw_ops.proof_jobs (batch_id, updated_at desc);
create index idx_proof_jobs_state on raw_ops.proof_jobs (state, created_at);
create index idx_proof_jobs_state_created on raw_ops.proof_jobs (state, created_at)
    where state in ('queued', 'failed');

create table raw_ops.proof_page_events (
    id              uuid primary key default gen_random_uuid(),
    event_type      text not null,
    batch_code      text not null,
    public_batch_id text,
    referrer        text,
    user_agent      text,
    device_type     text,
    share_method    text,
    created_at      timestamptz not null default now()
);
comment on table raw_ops.proof_page_events is 'Proof page visitor analytics';

create index idx_proof_page_events_batch on raw_ops.proof_page_events (batch_code, created_at desc);
create index idx_proof_page_events_type_created on raw_ops.proof_page_events (event_type, created_at desc);
