-- The due jobs that a promotion in bulk choked on, to be promoted one at a time.
-- Caller: store/scheduled.rs
select run_at, job_id from engine.scheduled
where run_at <= (select engine.now()) and not alone
order by run_at
limit $1
