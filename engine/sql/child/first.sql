-- The child that ended first of those that the steps $2 of workflow $1 made.
-- Index: child_end_pkey. Caller: store/child.rs
select job_id, outcome, output, category, error
from engine.child_end where parent_id = $1 and position = any ($2)
order by ended_at, position, n
limit 1
