-- Every limit, and what is taken of it at this moment. A row that nobody declares and no operator has set only remembers what a rate owes
-- that was taken back (limit/unset.sql).
-- Caller: store/limit.rs
select s.scope, s.name, s.cap, s.in_order, s.rate, s.per_ms, s.burst, s.weight, s.declared is not null as declared, s.changed_at,
    s.changed_by,
    case s.scope when 'key' then (
        select count(*) from engine.slot t
        where t.limit_key = s.name or (right(s.name, 1) = '*' and starts_with(t.limit_key, left(s.name, -1))))
    else (select coalesce(sum(p.jobs), 0)::bigint from engine.permit p where p.setting_id = s.id) end as taken
from engine.limit_setting s
where s.declared is not null or s.changed_by <> 'the program'
order by s.scope, s.name
