-- Who may call over HTTP, and what: one table for the producers' API, the HTTP functions and the dashboard.
--
-- Only a hash of each token is kept. A token is 256 random bits, so a plain hash cannot be turned back.
-- Locks: creates new objects only.

create table raw_ops.api_tokens (
    id bigint generated always as identity primary key,
    name text not null check (name <> ''),
    hash bytea not null check (octet_length(hash) = 32),
    scopes text[] not null
        check (cardinality(scopes) > 0 and scopes <@ array['jobs:read', 'jobs:write', 'events:write', 'functions', 'operate']),
    created_at timestamptz not null default now(),
    created_by text not null,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    constraint api_tokens_hash_key unique (hash)
);
-- A name is free again once its token is revoked.
create unique index api_tokens_name on raw_ops.api_tokens (name) where revoked_at is null;
comment on table raw_ops.api_tokens is 'Tokens of callers over HTTP: what each may do, until when; the token itself is not kept.';
