-- What a program says of a limit: of $1 (scope) $2 (name) cap $3, in order $4, rate $5 in $6 ms with bursts of $7, weight $8.
-- It decides where no operator has changed the limit; what operators set stays. Returns the limit's id if this changed it.
-- Locks: the limit's row. Caller: store/limit.rs
insert into engine.limit_setting as s (scope, name, cap, in_order, rate, per_ms, burst, weight, declared, changed_by)
select $1, engine.checked_name(case $1 when 'key' then 'limit key' else $1 end, $2), $3, $4, $5, $6, $7, $8, d.declared, 'the program'
from (select jsonb_build_object('cap', $3::integer, 'in_order', $4::boolean, 'rate', $5::integer, 'per_ms', $6::bigint,
                                'burst', $7::integer, 'weight', $8::integer) as declared) d
on conflict (scope, name) do update
set declared = excluded.declared,
    cap = case when s.changed_by = 'the program' then excluded.cap else s.cap end,
    in_order = case when s.changed_by = 'the program' then excluded.in_order else s.in_order end,
    rate = case when s.changed_by = 'the program' then excluded.rate else s.rate end,
    per_ms = case when s.changed_by = 'the program' then excluded.per_ms else s.per_ms end,
    burst = case when s.changed_by = 'the program' then excluded.burst else s.burst end,
    weight = case when s.changed_by = 'the program' then excluded.weight else s.weight end,
    changed_at = case when s.changed_by = 'the program' then engine.now() else s.changed_at end
where s.declared is distinct from excluded.declared
returning s.id
