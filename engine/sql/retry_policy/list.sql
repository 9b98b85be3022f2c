-- The retry policy: rows of categories, then overrides. Of category $1 and kind $2 where they are given.
-- Caller: store/retry_policy.rs
select error_category as category, null::text as kind, max_attempts, backoff_seconds, alert_on_attempt, escalate_on_attempt,
    description, version
from engine.retry_config
where ($1::text is null or error_category = $1) and $2::text is null
union all
select error_category, kind, max_attempts, backoff_seconds, alert_on_attempt, escalate_on_attempt, null, version
from engine.retry_override
where ($1 is null or error_category = $1) and ($2 is null or kind = $2)
order by kind nulls first, category
