-- Prove at the start of a handler's transaction that its attempt is still its own: worker $1 is alive, claim $2 holds
-- job $3 with attempt $4, and the attempt has not ended. Its lock, and the one of assert_lock.sql which is taken before
-- this statement looks, keep a rescue out until the transaction ends. What triggers enqueue in it belongs to trace $5.
-- Locks: the claim row, key share. Caller: store/claim.rs
select c.id, case when $5::text is not null then set_config('engine.trace_parent', $5, true) end as trace
from engine.claim c
where c.worker_id = $1 and c.id = $2 and c.ids @> array[$3::bigint]
  and exists (select from engine.worker w where w.id = $1 and w.dead_at is null)
  and not exists (select from engine.attempt a where a.job_id = $3 and a.attempt = $4)
for key share of c
