-- How the children that step $2 of workflow $1 made have ended, in the order in which they were made.
-- Index: child_end_pkey. Caller: store/child.rs
select job_id, outcome, output, category, error
from engine.child_end where parent_id = $1 and position = $2
order by n
