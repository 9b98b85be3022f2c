-- The job that step $2 of workflow $1 was begun for first: where a dead letter went on with the step at which it failed, that of the letter.
-- Index: job_pkey, step_pkey. Caller: store/step.rs
with recursive back (job_id) as (
    select $1::bigint
    union all
    select d.job_id
    from back b
    join engine.job j on j.id = b.job_id
    join engine.dead_letter_queue d on d.id = j.requeued_from
    where d.resolution = 'requeued' and not exists (select from engine.step s where s.job_id = d.job_id and s.position >= $2)
)
select min(job_id) from back
