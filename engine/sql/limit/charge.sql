-- Count the run of job $1 against the rate of its key, if that has one. Null: it may run. Otherwise how long it has to wait;
-- nothing was counted then.
-- Locks: the state of the key's rate; the job's slot. Caller: store/limit.rs
with held as materialized (
    select s.limit_key, l.rate, l.per_ms, l.burst, least(coalesce(k.weight, 1), l.burst) as weight, engine.now() as at
    from engine.slot s
    cross join lateral engine.limit_of_key(s.limit_key) l
    join engine.job j on j.id = s.job_id
    join engine.lane n on n.id = j.lane_id
    left join engine.limit_setting k on k.scope = 'kind' and k.name = n.kind
    where s.job_id = $1 and l.rate is not null
),
charged as (
    insert into engine.pace as p (limit_key, free_at)
    select limit_key, engine.rate_after(rate, per_ms, burst, null, at, weight) from held
    on conflict (limit_key) do update
    set free_at = (select engine.rate_after(h.rate, h.per_ms, h.burst, p.free_at, h.at, h.weight) from held h)
    where (select engine.rate_left(h.rate, h.per_ms, h.burst, p.free_at, h.at) >= h.weight from held h)
    returning limit_key
),
noted as (
    update engine.slot set charged = true where job_id = $1 and exists (select from charged)
)
-- Who lost against the first run of the key at this moment does not see its state, and asks again.
select case when not exists (select from charged) then (
    select greatest(1, ceil(engine.rate_wait(h.rate, h.per_ms, h.burst, p.free_at, h.at, h.weight) * 1000)::bigint)
    from held h left join engine.pace p on p.limit_key = h.limit_key) end as wait_ms
