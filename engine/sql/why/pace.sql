-- How many jobs of lane $1 (all, when null) and limit key $2 (any, when null) began lately, and the seconds since the
-- first of them: of the last 5,000 jobs that were enqueued before job $3 or, in its lane, before the head of the line.
-- Index: job_pkey, attempt_pkey, ready_pkey. Caller: store/why.rs
with head as (
    select least($3, (select min(position) from engine.ready where lane_id = $1 and position > 0)) as id
),
lately as materialized (
    select j.id, j.lane_id, j.limit_key from engine.job j
    where j.id < (select id from head)
    order by j.id desc
    limit 5000
)
select count(*) as began, extract(epoch from engine.now() - min(a.started_at))::float8 as seconds
from lately l
join engine.attempt a on a.job_id = l.id and a.attempt = 1
where ($1::integer is null or l.lane_id = $1) and ($2::text is null or l.limit_key = $2)
  and a.started_at > (select engine.now()) - interval '10 minutes'
