-- End the live token of name $1.
-- Caller: api/tokens.rs
update raw_ops.api_tokens set revoked_at = engine.now() where name = $1 and revoked_at is null
