-- The job that step $2 of workflow $1 was begun for first: where a dead letter went on, that of the letter.
-- Index: job_pkey. Caller: store/step.rs
with recursive back (job_id) as (
    select $1::bigint
    union all
    select d.job_id
    from back b
    join engine.job j on j.id = b.job_id
    join engine.dead_letter_queue d on d.id = j.requeued_from
    where d.resolution = 'requeued'
)
select min(job_id) from back
