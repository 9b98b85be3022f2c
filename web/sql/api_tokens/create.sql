-- Keep a new token: name $1, hash $2, scopes $3, made by $4, expiring in $5 days or never.
-- Caller: api/tokens.rs
insert into raw_ops.api_tokens (name, hash, scopes, created_by, expires_at)
values ($1, $2, $3, $4, engine.now() + make_interval(days => $5))
returning id
