-- Whether a suspect of kinds $1 and queues $2 is due for worker $3. While the system that it calls is down, only when a probe may go, and not
-- while its limit key holds it back, or others take all the room that a limit of its queue or kind leaves: a worker lets all else end
-- before it runs one.
-- Index: scheduled_alone. Caller: store/scheduled.rs
with given as materialized (
    -- Apart, so that nothing is known of their length, by which a plan would be made anew each time.
    select $1::text[] as kinds, $2::text[] as queues
)
select exists (
    select from engine.scheduled s
    join engine.lane l on l.id = s.lane_id
    cross join given g
    where s.alone and s.run_at <= (select engine.now()) and l.kind = any (g.kinds) and l.queue = any (g.queues)
      and not l.paused and not exists (select from engine.paused p where p.name = case p.scope when 'queue' then l.queue when 'kind' then l.kind end)
      and not exists (
          select from engine.barred b where b.kind = l.kind and not coalesce(b.probe_at <= (select engine.now()), false))
      and not engine.key_holds_back(s.job_id)
      and not exists (
          select from engine.limit_setting r
          left join engine.limit_setting k on k.scope = 'kind' and k.name = l.kind
          where ((r.scope = 'queue' and r.name = l.queue) or (r.scope = 'kind' and r.name = l.kind))
            and ((select coalesce(sum(p.jobs), 0) from engine.permit p join engine.claim c on c.id = p.claim_id
                  where p.setting_id = r.id and c.worker_id <> $3) >= r.cap
                 or (r.rate is not null and engine.rate_wait(r.rate, r.per_ms, r.burst, r.free_at, (select engine.now()),
                         least(coalesce(k.weight, 1), r.burst)) > 1)))
) as due
