-- The job that step $2 of workflow $1, called $3, was begun for first: where a dead letter went on, that of the letter. One that was
-- undone, or in which that step was another, is not gone back to.
-- Index: job_pkey, step_pkey, compensation_pkey. Caller: store/step.rs
with recursive back (job_id) as (
    select $1::bigint
    union all
    select d.job_id
    from back b
    join engine.job j on j.id = b.job_id
    join engine.dead_letter_queue d on d.id = j.requeued_from
    where d.resolution = 'requeued' and not exists (select from engine.compensation c where c.job_id = d.job_id)
      and not exists (select from engine.step s where s.job_id = d.job_id and s.position = $2 and s.name <> $3)
)
select min(job_id) from back
