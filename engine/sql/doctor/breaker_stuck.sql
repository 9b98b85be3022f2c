-- Breakers that should have been probed, with jobs that are ready to be the probe and a live worker that knows their kind, or with
-- suspects, for which a worker first lets all else end; and those whose probe is gone and was not followed by another.
-- Reads breaker, lane, ready, scheduled, worker, attempt and claim. Caller: store/doctor.rs
select case when b.state = 'half_open' then b.probe_job end as job_id,
    case when b.state = 'half_open' then format('was the probe of breaker %s, has ended, and nothing followed', b.system)
        else format('breaker %s is open, and nothing was let go as its probe since %s', b.system,
                    to_char(b.probe_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"')) end as detail
from engine.breaker b
where b.held is null
  and case b.state
      when 'open' then b.probe_at < engine.now() - interval '1 minute' and exists (
          select from engine.breaker_kind k join engine.lane l on l.kind = k.kind
          where k.system = b.system and not l.paused
            and not exists (select from engine.paused p where p.name = case p.scope when 'queue' then l.queue when 'kind' then l.kind end)
            and (exists (select from engine.ready r where r.lane_id = l.id)
                 or (b.probe_at < engine.now() - interval '10 minutes'
                     and exists (select from engine.scheduled s
                                 where s.alone and s.lane_id = l.id and s.run_at < engine.now() - interval '10 minutes')))
            and exists (select from engine.worker w where w.dead_at is null and w.lease_until > engine.now()
                        and w.info -> 'kinds' ? l.kind and w.info -> 'queues' ? l.queue))
      when 'half_open' then coalesce(
          (select a.finished_at < engine.now() - interval '1 minute' from engine.attempt a
           where a.job_id = b.probe_job and a.attempt = b.probe_attempt),
          not exists (select from engine.claim c where c.id = b.probe_claim))
          and exists (select from engine.breaker_kind k
                      join engine.worker w on w.dead_at is null and w.lease_until > engine.now() and w.info -> 'kinds' ? k.kind
                      where k.system = b.system)
      else false end
order by b.system
limit 100
