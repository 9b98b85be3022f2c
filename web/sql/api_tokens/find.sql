-- The live token of hash $1; notes its use, once a minute at most.
-- Index: api_tokens_hash_key. Caller: api/tokens.rs
with live as (
    select id, name, scopes from raw_ops.api_tokens
    where hash = $1 and revoked_at is null and (expires_at is null or expires_at > engine.now())
),
used as (
    update raw_ops.api_tokens set last_used_at = engine.now()
    where id = (select id from live) and (last_used_at is null or last_used_at < engine.now() - interval '1 minute')
)
select name, scopes from live
