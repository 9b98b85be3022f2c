-- The keys of jobs that wait at positions above $1, at most $2 positions; the last position looked at; and the last one
-- given out.
-- Index: waiting_pkey from the floor. Caller: store/waiting.rs
with arrived as materialized (
    select position, limit_key from engine.waiting where position > $1 order by position limit $2
)
select array(select distinct limit_key from arrived) as keys, (select count(*) from arrived) as seen,
    (select max(position) from arrived) as reached, s.last_value as last_position
from engine.position s
