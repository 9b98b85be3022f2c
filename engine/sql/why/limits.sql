-- The limits of queue $1, kind $2 and, when it is given, key $3, with what is taken, and how many seconds their rates ask to
-- wait.
-- Caller: store/why.rs
select s.scope, s.name, s.cap, (select coalesce(sum(p.jobs), 0)::bigint from engine.permit p where p.setting_id = s.id) as taken, s.rate, s.per_ms,
    case when s.rate is not null then
        engine.rate_wait(s.rate, s.per_ms, s.burst, s.free_at, (select engine.now()), least(s.burst, coalesce(k.weight, 1))) end as wait_s
from engine.limit_setting s
left join engine.limit_setting k on k.scope = 'kind' and k.name = $2
where (s.scope = 'queue' and s.name = $1) or (s.scope = 'kind' and s.name = $2)
union all
select 'key', $3, l.cap, (select count(*) from engine.slot t where t.limit_key = $3), l.rate, l.per_ms,
    case when l.rate is not null then
        engine.rate_wait(l.rate, l.per_ms, l.burst, (select p.free_at from engine.pace p where p.limit_key = $3), (select engine.now()), 1) end
from engine.limit_of_key($3) l
where $3::text is not null
order by 1
