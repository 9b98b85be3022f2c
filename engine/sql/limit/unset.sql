-- Take back what operators set of the limit of $1 (scope) $2 (name): what a program declared is in force again, or there
-- is no limit of this name. Returns which; no row when there was none.
-- Locks: the limit's row. Caller: store/limit.rs
with back as (
    update engine.limit_setting s
    set cap = (s.declared ->> 'cap')::integer, in_order = (s.declared ->> 'in_order')::boolean, rate = (s.declared ->> 'rate')::integer,
        per_ms = (s.declared ->> 'per_ms')::bigint, burst = (s.declared ->> 'burst')::integer,
        weight = coalesce((s.declared ->> 'weight')::integer, 1), changed_at = engine.now(), changed_by = 'the program'
    where s.scope = $1 and s.name = $2 and s.declared is not null
    returning true as declared
),
gone as (
    delete from engine.limit_setting s where s.scope = $1 and s.name = $2 and s.declared is null
    returning false as declared
)
select declared from back union all select declared from gone
