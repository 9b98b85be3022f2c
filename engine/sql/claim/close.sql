-- Drop claims, of anybody, whose attempts are all recorded: what a finish skipped because the row was locked.
-- Caller: store/claim/rescue.rs
with closed as (
    delete from engine.claim where ctid = any (array(
        select c.ctid from engine.claim c
        where c.claimed_at < engine.now() - $1 * interval '1 millisecond'
          and not exists (
              select from unnest(c.ids, c.attempts) u (job_id, attempt)
              where u.job_id is not null and u.attempt is not null
                and not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt))
        for update of c skip locked))
    returning id
),
unpermitted as (
    delete from engine.permit where claim_id in (select id from closed)
)
select id from closed
