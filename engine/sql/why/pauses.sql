-- What holds jobs of queue $1, kind $2, limit key $3 and lane $4 at this moment.
-- Caller: store/why.rs
select scope, name, since, until, paused_by, reason from engine.paused
where (scope = 'queue' and name = $1) or (scope = 'kind' and name = $2)
   or (scope = 'key' and (name = $3 or (right(name, 1) = '*' and starts_with($3, left(name, -1)))))
union all
select 'kind', kind, null, null, 'whoever set engine.lane.paused', null from engine.lane where id = $4 and paused
order by since nulls first, scope
