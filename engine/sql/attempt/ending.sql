-- How job $1 ended, if it has: the outcome of its last attempt, its output, or its error and category.
-- Caller: store/attempt.rs
select a.outcome, a.output, a.category, a.error
from engine.job j
left join lateral (
    select * from engine.attempt where job_id = j.id and outcome in ('completed', 'cancelled', 'dead') limit 1
) a on true
where j.id = $1
