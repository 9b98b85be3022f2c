-- Which of jobs $1 have a unique key that somebody's transaction holds.
-- Locks: rows of unique_key, skip locked, for this statement. Index: unique_key_job_id_key. Caller: store/attempt.rs
with free as materialized (
    select k.job_id from engine.unique_key k where k.job_id = any ($1) for update skip locked
)
select k.job_id from engine.unique_key k where k.job_id = any ($1) and k.job_id not in (select job_id from free)
