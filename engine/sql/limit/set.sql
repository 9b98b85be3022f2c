-- Set the limit of $1 (scope) $2 (name), where it is given: cap $3, in order $4, rate $5 in $6 ms with bursts of $7,
-- weight $8, for operator $9. Where $10 says so it has no cap any more, and where $11 says so no rate; what the rate owes is kept.
-- Returns its id, whether it limits nothing now, and whether a program declares it.
-- Locks: the limit's row. Caller: store/limit.rs
insert into engine.limit_setting as s (scope, name, cap, in_order, rate, per_ms, burst, weight, changed_by)
values ($1, engine.checked_name(case $1 when 'key' then 'limit key' else $1 end, $2), $3, coalesce($4, false), $5, $6, $7, coalesce($8, 1), $9)
on conflict (scope, name) do update
set cap = case when not $10 then coalesce($3, s.cap) end, in_order = coalesce($4, s.in_order),
    rate = case when not $11 then coalesce($5, s.rate) end, per_ms = case when not $11 then coalesce($6, s.per_ms) end,
    burst = case when not $11 then coalesce($7, s.burst) end, weight = coalesce($8, s.weight), changed_at = engine.now(), changed_by = $9
returning s.id, s.cap is null and s.rate is null and not s.in_order and s.weight = 1 as is_empty, s.declared is not null as is_declared
