-- The time of a schedule that job $1 was made for, or the job in whose place it runs; $2 is what is noted where a schedule came and
-- found that a job which was there already holds the key.
-- Index: occurrence_of_job, restart_pkey, dead_letter_queue_pkey. Caller: store/occurrence.rs
with recursive origin as (
    select $1::bigint as job_id, 0 as steps
    union all
    select coalesce(r.restarted_from, d.job_id), o.steps + 1
    from origin o
    left join engine.restart r on r.job_id = o.job_id
    left join engine.job j on j.id = o.job_id
    left join engine.dead_letter_queue d on d.id = j.requeued_from
    where o.steps < 100 and coalesce(r.restarted_from, d.job_id) is not null
)
select c.schedule, c.occurrence as due, c.how
from origin o
join engine.occurrence c on c.job_id = o.job_id and c.note is distinct from $2
order by o.steps, c.fired_at
limit 1
