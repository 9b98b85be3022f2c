-- Production batches and what the laboratory found in them (registry 1.2).
--
-- lab_results holds one row a batch, the decision in force. Beyond the registry: the samples it was made from, and the
-- decisions that a retest replaced.
-- Locks: creates new objects; share-row-exclusive on products for the foreign keys, for a moment.

create table raw_ops.batches (
    id                        uuid primary key default gen_random_uuid(),
    batch_code                text not null,
    product_id                uuid references raw_ops.products,
    produced_at               date not null,
    status                    raw_ops.batch_status not null default 'QA_HOLD',
    notes                     text,
    created_at                timestamptz not null default now(),
    kg_produced               numeric check (kg_produced >= 0),
    total_cost_gbp            numeric(12, 2),
    cogs_per_kg_gbp           numeric(12, 4),
    proof_url                 text,
    production_date           date,
    expiry_date               date,
    storage_temp_min          numeric,
    storage_temp_max          numeric,
    packaging_type            varchar(50),
    qty_on_hand               numeric default 0 check (qty_on_hand >= 0),
    qty_reserved              numeric default 0 check (qty_reserved >= 0),
    qr_image_url              text,
    proof_insert_pdf_url      text,
    proof_published_at        timestamptz,
    inserts_printed_at        timestamptz,
    inserts_shipped_to_3pl_at timestamptz,
    proof_insert_generated_at timestamptz,
    qa_hold_started_at        timestamptz,
    released_at               timestamptz,
    formulation_id            uuid references raw_ops.formulations,
    label_pdf_url             text,
    qty_soft_reserved         integer default 0 check (qty_soft_reserved >= 0),
    last_reservation_at       timestamptz,
    public_batch_id           text,
    constraint batches_batch_code_key unique (batch_code),
    constraint batches_public_batch_id_key unique (public_batch_id),
    constraint batches_production_date_agrees check (production_date = produced_at)
);
comment on table raw_ops.batches is 'Production batches with QA status';
comment on column raw_ops.batches.batch_code is 'PR-YYMMDD-NNN, counted within the day of production.';
comment on column raw_ops.batches.produced_at is 'Canonical; production_date is filled equal.';
comment on column raw_ops.batches.qty_on_hand is
    'Units, not kg: the truth about stock. inventory and inventory_on_hand are derived from it.';
comment on column raw_ops.batches.qty_reserved is 'Units promised to paid orders by allocations.';
comment on column raw_ops.batches.qty_soft_reserved is 'Units held for a while without an allocation.';
comment on column raw_ops.batches.cogs_per_kg_gbp is 'Pounds per kg: a rate, kept to a hundredth of a penny.';
comment on column raw_ops.batches.public_batch_id is
    'Names the batch in public. An HMAC under a key of the server, so that it cannot be guessed from batch_code.';
comment on column raw_ops.batches.proof_url is
    'The page exists from the start and says "in testing" until the batch is released.';
comment on column raw_ops.batches.storage_temp_min is 'Degrees Celsius.';

create index batches_status_idx on raw_ops.batches (status);
create index idx_batches_availability on raw_ops.batches (product_id, status, qty_on_hand, qty_reserved)
    where status = 'RELEASED';
create index idx_batches_batch_code_released on raw_ops.batches (batch_code) where status = 'RELEASED';
create index idx_batches_fefo on raw_ops.batches (expiry_date, status) where status = 'RELEASED';
create index idx_batches_fefo_lookup on raw_ops.batches (product_id, expiry_date, produced_at)
    where status = 'RELEASED';
create index idx_batches_formulation_id on raw_ops.batches (formulation_id);
create index idx_batches_proof_insert_pdf_url on raw_ops.batches (proof_insert_pdf_url);
create index idx_batches_proof_insert_workflow on raw_ops.batches (status, proof_url, proof_insert_pdf_url)
    where status = 'RELEASED';
create index idx_batches_qa_hold on raw_ops.batches (id) where status = 'QA_HOLD';
create index idx_batches_released_available on raw_ops.batches (status) where status = 'RELEASED';
create index idx_batches_status_released on raw_ops.batches (status, proof_published_at) where status = 'RELEASED';

create table raw_ops.lab_results (
    id                           uuid primary key default gen_random_uuid(),
    batch_id                     uuid not null references raw_ops.batches,
    lab_name                     text not null,
    report_pdf_url               text not null,
    salmonella_absent            boolean,
    enterobacteriaceae_cfu_per_g integer,
    outcome                      raw_ops.lab_outcome not null,
    collected_at                 date,
    reported_at                  timestamptz not null default now(),
    raw_email_metadata           jsonb,
    confidence_score             numeric check (confidence_score between 0 and 1),
    pdf_hash                     text,
    parsed_by                    text default 'openai',
    listeria_absent              boolean,
    enterobacteriaceae_operator  text check (enterobacteriaceae_operator in ('<', '=', '>')),
    enterobacteriaceae_text      text,
    constraint lab_results_batch_id_key unique (batch_id),
    constraint unique_batch_result unique (batch_id, lab_name, reported_at)
);
comment on table raw_ops.lab_results is 'Parsed laboratory test results';
comment on column raw_ops.lab_results.batch_id is
    'One row a batch: the decision in force. A retest moves the former one to lab_result_history.';
comment on column raw_ops.lab_results.enterobacteriaceae_cfu_per_g is
    'The worst sample''s count; the report''s own words are in enterobacteriaceae_text.';
comment on column raw_ops.lab_results.enterobacteriaceae_operator is
    'How the count was reported: "<" means less than it, so the count is the upper bound that is compared.';
comment on column raw_ops.lab_results.salmonella_absent is
    'True only when absence in 25 g is stated; null when the report does not say.';
comment on column raw_ops.lab_results.confidence_score is '0 to 1; how sure the reading of the document is.';
comment on column raw_ops.lab_results.parsed_by is
    'Who read the document. Our reader names itself (pattern); the default is the registry''s and no claim.';
comment on column raw_ops.lab_results.pdf_hash is
    'SHA-256 of the document. Seen with another batch, it is no evidence for this one.';

create index idx_lab_results_batch_id_reported on raw_ops.lab_results (batch_id, reported_at desc);
create index lab_results_outcome_idx on raw_ops.lab_results (outcome);
create index idx_lab_results_pdf_hash on raw_ops.lab_results (pdf_hash) where pdf_hash is not null;

-- The law wants five samples a batch; lab_results holds what they add up to.
create table raw_ops.lab_result_samples (
    id                           uuid primary key default gen_random_uuid(),
    lab_result_id                uuid not null references raw_ops.lab_results on delete cascade,
    sample_no                    integer not null check (sample_no > 0),
    sample_ref                   text,
    sample_grams                 numeric check (sample_grams > 0),
    salmonella_absent            boolean,
    salmonella_text              text,
    listeria_absent              boolean,
    listeria_text                text,
    enterobacteriaceae_operator  text check (enterobacteriaceae_operator in ('<', '=', '>')),
    enterobacteriaceae_cfu_per_g integer check (enterobacteriaceae_cfu_per_g >= 0),
    enterobacteriaceae_text      text,
    created_at                   timestamptz not null default now(),
    constraint lab_result_samples_once unique (lab_result_id, sample_no)
);
comment on table raw_ops.lab_result_samples is 'The samples that a laboratory result is made of';
comment on column raw_ops.lab_result_samples.sample_ref is 'The laboratory''s own name of the sample.';
comment on column raw_ops.lab_result_samples.salmonella_text is 'The line of the report that was read, as evidence.';

create table raw_ops.lab_result_history (
    id            uuid primary key default gen_random_uuid(),
    lab_result_id uuid not null references raw_ops.lab_results on delete cascade,
    batch_id      uuid not null references raw_ops.batches,
    outcome       raw_ops.lab_outcome not null,
    reported_at   timestamptz not null,
    pdf_hash      text,
    result        jsonb not null,
    reason        text not null,
    replaced_at   timestamptz not null default now()
);
comment on table raw_ops.lab_result_history is 'Decisions about a batch that a retest has replaced';
comment on column raw_ops.lab_result_history.result is 'The replaced row of lab_results with its samples.';

create index idx_lab_result_history_batch on raw_ops.lab_result_history (batch_id, replaced_at desc);

create table raw_ops.lab_pdf_patterns (
    id                         uuid primary key default gen_random_uuid(),
    lab_name                   text not null,
    batch_code_regex           text not null,
    salmonella_pattern         text not null,
    listeria_pattern           text,
    enterobacteriaceae_pattern text not null,
    notes                      text,
    created_at                 timestamptz default now(),
    updated_at                 timestamptz default now()
);
comment on table raw_ops.lab_pdf_patterns is 'Patterns for parsing lab PDF reports';
comment on column raw_ops.lab_pdf_patterns.batch_code_regex is
    'Rust regex syntax; linear in the text, compiled when loaded.';

create table raw_ops.batch_status_history (
    id            uuid primary key default gen_random_uuid(),
    batch_id      uuid not null references raw_ops.batches,
    old_status    text,
    new_status    text not null,
    triggered_by  text,
    lab_result_id uuid references raw_ops.lab_results,
    created_at    timestamptz default now()
);
comment on table raw_ops.batch_status_history is 'Audit trail of batch status changes';
comment on column raw_ops.batch_status_history.triggered_by is 'The person or the job that changed the status.';

create index idx_batch_status_history_batch_id on raw_ops.batch_status_history (batch_id);
create index idx_batch_status_history_created_at on raw_ops.batch_status_history (created_at desc);
