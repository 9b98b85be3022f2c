-- Take back what operators set of the limit of $1 (scope) $2 (name): what a program declared is in force again, or there
-- is no limit of this name. What the rate of a queue or a kind owes is remembered until that is over, in a row that limits nothing and
-- is nobody's; those that owe nothing any more go. Returns which, and the limit's id; no row when there was none.
-- Locks: the limit's row, and those that go. Caller: store/limit.rs
with clock as materialized (
    select engine.now() as at
),
back as (
    update engine.limit_setting s
    set cap = (s.declared ->> 'cap')::integer, in_order = (s.declared ->> 'in_order')::boolean, rate = (s.declared ->> 'rate')::integer,
        per_ms = (s.declared ->> 'per_ms')::bigint, burst = (s.declared ->> 'burst')::integer,
        weight = coalesce((s.declared ->> 'weight')::integer, 1), changed_at = clock.at, changed_by = 'the program'
    from clock
    where s.scope = $1 and s.name = $2 and s.declared is not null
    returning true as declared, s.id
),
remembered as (
    update engine.limit_setting s
    set cap = null, in_order = false, rate = null, per_ms = null, burst = null, weight = 1, changed_at = clock.at, changed_by = 'the program'
    from clock
    where s.scope = $1 and s.name = $2 and s.declared is null and s.changed_by <> 'the program' and s.free_at > clock.at
    returning false as declared, s.id
),
gone as (
    delete from engine.limit_setting s using clock
    where s.declared is null and coalesce(s.free_at <= clock.at, true)
      and ((s.scope = $1 and s.name = $2) or s.changed_by = 'the program')
    returning false as declared, s.id, s.changed_by <> 'the program' as was_set
)
select declared, id from back
union all
select declared, id from remembered
union all
select declared, id from gone where was_set
