-- What the support agent knows and what it is told (registry 1.5).
--
-- The type vector comes from the extension of that name where the server has it; elsewhere it is a domain over real[],
-- and distances are computed row by row, which serves some thousand sections. Callers use nearest_knowledge either way.
-- Locks: creates new objects only.

create table raw_ops.ai_prompt_templates (
    id             uuid primary key default gen_random_uuid(),
    channel        text not null,
    section_key    text not null,
    section_order  integer not null,
    is_included    boolean not null default true,
    wrapper_prefix text,
    wrapper_suffix text,
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now(),
    constraint unique_channel_section unique (channel, section_key)
);
comment on table raw_ops.ai_prompt_templates is 'Reusable AI prompt templates';

create index idx_ai_templates_channel on raw_ops.ai_prompt_templates (channel, section_order) where is_included;

create table raw_ops.ai_prompt_logs (
    id               uuid primary key default gen_random_uuid(),
    channel          text not null,
    assembled_at     timestamptz not null default now(),
    section_versions jsonb not null,
    prompt_hash      text not null,
    token_estimate   integer
);
comment on table raw_ops.ai_prompt_logs is 'Log of AI prompt executions';

create index idx_ai_logs_recent on raw_ops.ai_prompt_logs (channel, assembled_at desc);

create table raw_ops.ai_knowledge_sections (
    id              uuid primary key default gen_random_uuid(),
    section_key     text not null,
    version         integer not null default 1,
    title           text not null,
    content         text not null,
    is_active       boolean not null default false,
    created_at      timestamptz not null default now(),
    created_by      text default 'system',
    notes           text,
    embedding_model text,
    constraint unique_section_version unique (section_key, version)
);
comment on table raw_ops.ai_knowledge_sections is 'Knowledge base sections for AI agent';
comment on column raw_ops.ai_knowledge_sections.is_active is 'At most one version a section.';
comment on column raw_ops.ai_knowledge_sections.embedding_model is 'Vectors of different models are never compared.';

create unique index idx_ai_knowledge_active on raw_ops.ai_knowledge_sections (section_key) where is_active;

create function raw_ops.cosine_distance(a real[], b real[]) returns double precision
language plpgsql immutable strict parallel safe
as $$
begin
    if cardinality(a) <> cardinality(b) then
        raise exception 'vectors of % and of % numbers cannot be compared', cardinality(a), cardinality(b)
            using errcode = '22000';
    end if;
    return (
        select 1 - sum(x::double precision * y)
            / nullif(sqrt(sum(x::double precision * x)) * sqrt(sum(y::double precision * y)), 0)
        from unnest(a, b) as u (x, y)
    );
end
$$;
comment on function raw_ops.cosine_distance(real[], real[]) is
    '0 for one direction, 1 for a right angle, 2 for opposites; null for a vector of zeros.';

do $do$
declare
    home text;
begin
    if exists (select from pg_available_extensions where name = 'vector') then
        begin
            create extension if not exists vector;
        exception when insufficient_privilege then
            raise notice 'this user may not create the extension vector: embeddings are compared without its index';
        end;
    end if;
    select n.nspname into home
    from pg_extension e
    join pg_namespace n on n.oid = e.extnamespace
    where e.extname = 'vector' and exists (select from pg_am where amname = 'hnsw');

    if home is not null then
        execute format('alter table raw_ops.ai_knowledge_sections add column embedding %I.vector(384)', home);
        execute format($sql$
            create index idx_kb_sections_embedding on raw_ops.ai_knowledge_sections using hnsw (embedding %I.vector_cosine_ops)
            $sql$, home);
        execute format($sql$
            create function raw_ops.nearest_knowledge(query real[], model text, at_most integer)
            returns table (id uuid, distance double precision)
            language sql stable
            as $body$
                select s.id, s.embedding operator(%1$I.<=>) query::%1$I.vector(384)
                from raw_ops.ai_knowledge_sections s
                where s.is_active and s.embedding_model = model
                order by s.embedding operator(%1$I.<=>) query::%1$I.vector(384), s.id
                limit at_most
            $body$
            $sql$, home);
    else
        create domain raw_ops.vector as real[]
            check (array_ndims(value) = 1 and cardinality(value) = 384 and array_position(value, null) is null);
        comment on domain raw_ops.vector is 'A vector of 384 numbers, where the extension of that name is absent';
        alter table raw_ops.ai_knowledge_sections add column embedding raw_ops.vector;
        create index idx_kb_sections_embedding on raw_ops.ai_knowledge_sections using hash (embedding);
        create function raw_ops.nearest_knowledge(query real[], model text, at_most integer)
        returns table (id uuid, distance double precision)
        language sql stable
        as $body$
            select s.id, raw_ops.cosine_distance(s.embedding, query)
            from raw_ops.ai_knowledge_sections s
            where s.is_active and s.embedding_model = model and s.embedding is not null
            order by 2, s.id
            limit at_most
        $body$;
    end if;
end
$do$;
comment on column raw_ops.ai_knowledge_sections.embedding is
    'What the section is about, for search by cosine distance.';
comment on function raw_ops.nearest_knowledge(real[], text, integer) is
    'The active sections nearest to a vector of the same model, nearest first.';

alter table raw_ops.ai_knowledge_sections
    add constraint ai_knowledge_sections_embedding_has_model check (embedding is null or embedding_model is not null);
