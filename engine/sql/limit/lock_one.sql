-- Lock the limit of $1 (scope) $2 (name), if there is one, so that what follows sees it as it is.
-- Locks: the limit's row. Caller: store/limit.rs
select s.id from engine.limit_setting s where s.scope = $1 and s.name = $2 for update
