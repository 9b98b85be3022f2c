-- Recipes, and what a customer's dog is to eat (registry 1.1).
--
-- Locks: creates new objects; share-row-exclusive on customers for the foreign keys, for a moment.

create table raw_ops.formulations (
    id                      uuid primary key default gen_random_uuid(),
    version                 text not null,
    name                    text not null,
    description             text,
    effective_from          date not null,
    effective_until         date,
    shopify_page_url        text not null,
    lab_certificate_pdf_url text,
    lab_name                text,
    certificate_reference   text,
    analysis_date           date,
    fediaf_verified         boolean default true,
    created_at              timestamptz default now(),
    updated_at              timestamptz default now(),
    constraint formulations_version_key unique (version)
);
comment on table raw_ops.formulations is 'Recipe/formulation definitions';
comment on column raw_ops.formulations.effective_until is 'Null while the recipe is in use.';

create index idx_formulations_current on raw_ops.formulations (effective_until) where effective_until is null;
create index idx_formulations_effective on raw_ops.formulations (effective_from, effective_until);

create table raw_ops.feeding_plans (
    id             uuid primary key default gen_random_uuid(),
    customer_id    uuid not null references raw_ops.customers,
    dog_name       text,
    dog_weight_kg  numeric not null check (dog_weight_kg between 0.5 and 100),
    life_stage     text not null default 'adult',
    activity_level text not null default 'moderate',
    is_neutered    boolean not null default true,
    body_condition text default 'ideal',
    daily_grams    integer not null,
    daily_kcal     integer not null,
    box_size       text not null default '12kg',
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now()
);
comment on table raw_ops.feeding_plans is 'Customer feeding plan configurations';
comment on column raw_ops.feeding_plans.dog_weight_kg is
    'Beyond 0.5 to 100 kg the formula is not trusted: such a dog is a question for a person.';
comment on column raw_ops.feeding_plans.daily_grams is 'Grams of food a day. A guide, not the advice of a vet.';
comment on column raw_ops.feeding_plans.daily_kcal is 'Kilocalories a day (MER).';

create index idx_feeding_plans_customer on raw_ops.feeding_plans (customer_id);
