-- Every token, newest first.
-- Caller: api/tokens.rs
select name, scopes, created_at, created_by, expires_at, coalesce(expires_at <= engine.now(), false) as is_expired, revoked_at, last_used_at
from raw_ops.api_tokens
order by id desc
