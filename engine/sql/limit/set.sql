-- Set the limit of $1 (scope) $2 (name), where it is given: cap $3, in order $4, rate $5 in $6 ms with bursts of $7,
-- weight $8, for operator $9. Returns its id.
-- Locks: the limit's row. Caller: store/limit.rs
insert into engine.limit_setting as s (scope, name, cap, in_order, rate, per_ms, burst, weight, changed_by)
values ($1, engine.checked_name(case $1 when 'key' then 'limit key' else $1 end, $2), $3, coalesce($4, false), $5, $6, $7, coalesce($8, 1), $9)
on conflict (scope, name) do update
set cap = coalesce($3, s.cap), in_order = coalesce($4, s.in_order), rate = coalesce($5, s.rate), per_ms = coalesce($6, s.per_ms),
    burst = coalesce($7, s.burst), weight = coalesce($8, s.weight), changed_at = engine.now(), changed_by = $9
returning s.id
