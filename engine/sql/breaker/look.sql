-- The breakers of systems $1: whether their kinds are held, whether a probe may go, and whether the probe that went will
-- never be told of: its worker died, or could not tell.
-- Caller: store/breaker.rs
select b.system, coalesce(b.held, b.state) <> 'closed' as barred,
    b.held is null and b.state = 'open' and b.probe_at <= (select engine.now()) as probe_due,
    b.held is null and b.state = 'half_open' and coalesce(
        (select a.finished_at < engine.now() - interval '3 seconds' from engine.attempt a
         where a.job_id = b.probe_job and a.attempt = b.probe_attempt),
        not exists (select from engine.claim c where c.id = b.probe_claim)) as probe_lost,
    b.probe_job, b.probe_attempt
from engine.breaker b
where b.system = any ($1)
