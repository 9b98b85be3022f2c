-- Set the limit of $1 (scope) $2 (name): cap $3, in order $4, where they are given, for operator $5.
-- Locks: the limit's row. Caller: store/limit.rs
insert into engine.limit_setting as s (scope, name, cap, in_order, changed_by)
values ($1, $2, $3, coalesce($4, false), $5)
on conflict (scope, name) do update
set cap = coalesce($3, s.cap), in_order = coalesce($4, s.in_order), changed_at = engine.now(), changed_by = $5
