-- How many of the children that step $2 of workflow $1 made ended in which way.
-- Index: child_end_pkey. Caller: store/child.rs
select
    count(*) filter (where outcome = 'completed') as completed,
    count(*) filter (where outcome = 'cancelled') as cancelled,
    count(*) filter (where outcome = 'dead') as dead
from engine.child_end where parent_id = $1 and position = $2
