-- How many jobs live: ready, waiting for a slot, running, and scheduled to run within $1 ms.
-- Reads ready, waiting and claim whole. Index: scheduled_pkey. Caller: store/place.rs
select
    (select count(*) from engine.ready) as ready,
    (select count(*) from engine.waiting) as queued,
    (select count(*) from engine.claim c, unnest(c.ids, c.attempts) u (job_id, attempt)
     where not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt)) as running,
    (select count(*) from engine.scheduled where run_at < (select engine.now()) + $1 * interval '1 millisecond') as soon,
    (select count(*) from engine.dead_letter_queue where not resolved) as dead
