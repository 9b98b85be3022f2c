-- Whether a suspect of kinds $1 and queues $2 is due. While the system that it calls is down, only when a probe may go, and not
-- while its limit key holds it back: a worker lets all else end before it runs one.
-- Index: scheduled_alone. Caller: store/scheduled.rs
select exists (
    select from engine.scheduled s
    join engine.lane l on l.id = s.lane_id
    where s.alone and s.run_at <= (select engine.now()) and l.kind = any ($1) and l.queue = any ($2)
      and not l.paused and not exists (select from engine.paused p where p.name = case p.scope when 'queue' then l.queue when 'kind' then l.kind end)
      and not exists (
          select from engine.barred b where b.kind = l.kind and not coalesce(b.probe_at <= (select engine.now()), false))
      and not engine.key_holds_back(s.job_id)
) as due
