-- What a program says of a limit: of $1 (scope) $2 (name) cap $3, in order $4. It decides where no operator has changed
-- the limit; what operators set stays.
-- Locks: the limit's row. Caller: store/limit.rs
insert into engine.limit_setting as s (scope, name, cap, in_order, declared, changed_by)
select $1, $2, $3, $4, d.declared, 'the program'
from (select jsonb_build_object('cap', $3::integer, 'in_order', $4::boolean) as declared) d
on conflict (scope, name) do update
set declared = excluded.declared,
    cap = case when s.changed_by = 'the program' then excluded.cap else s.cap end,
    in_order = case when s.changed_by = 'the program' then excluded.in_order else s.in_order end
where s.declared is distinct from excluded.declared
