-- The keys of jobs that wait at positions above $1, at most $2 positions; how many were looked at, and the last of them; and the last
-- position given out.
-- Index: waiting_pkey from the floor. Caller: store/waiting.rs
with arrived as materialized (
    select limit_key, count(*) as jobs, max(position) as reached
    from (select position, limit_key from engine.waiting where position > $1 order by position limit $2) seen
    group by limit_key
)
select array(select limit_key from arrived) as keys, coalesce((select sum(jobs) from arrived), 0)::bigint as seen,
    (select max(reached) from arrived) as reached, s.last_value as last_position
from engine.position s
