-- Whether a suspect of kinds $1 and queues $2 is due.
-- Index: scheduled_alone. Caller: store/scheduled.rs
select exists (
    select from engine.scheduled s
    join engine.lane l on l.id = s.lane_id
    where s.alone and s.run_at <= (select engine.now()) and l.kind = any ($1) and l.queue = any ($2)
      and not l.paused and not exists (select from engine.paused p where p.name = case p.scope when 'queue' then l.queue when 'kind' then l.kind end)
) as due
