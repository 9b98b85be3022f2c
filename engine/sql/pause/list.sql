-- What is held, or will be.
-- Caller: store/pause.rs
select scope, name, since, until, paused_by, reason from engine.paused
union all
select scope, name, starts_at, ends_at, paused_by, reason from engine.pause
where resumed_at is null and starts_at > (select engine.now())
union all
select 'kind', kind, null, null, 'whoever set engine.lane.paused', null from engine.lane where paused group by kind
order by scope, name, since nulls first
