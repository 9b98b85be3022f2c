-- Append lines $3 to the log of job $1 in attempt $2 and forget all but the last $4 of it.
-- Locks: the job's own rows; the attempt's fence keeps others out, and of one attempt run.rs lets one in at a time. Caller: store/note.rs
with last as (
    select coalesce(max(position), 0) as position from engine.log_line where job_id = $1
),
forgotten as (
    delete from engine.log_line where job_id = $1 and position <= (select position from last) + cardinality($3::text[]) - $4
)
insert into engine.log_line (job_id, position, attempt, logged_at, line)
select $1, last.position + u.n, $2, engine.now(), u.line
from last cross join unnest($3::text[]) with ordinality u (line, n)
where u.n > cardinality($3::text[]) - $4
