-- Jobs $3 are children of workflow $1, made by its step $2; those marked in $4 stay when it is cancelled or dies.
-- Locks: its own new rows. Caller: store/child.rs
insert into engine.child (job_id, parent_id, position, n, stays)
select u.job_id, $1, $2, u.n, u.stays
from unnest($3::bigint[], $4::boolean[]) with ordinality u (job_id, stays, n)
