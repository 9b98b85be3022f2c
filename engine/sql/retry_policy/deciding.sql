-- The row that decides about a failure of category $1 of a job of kind $2, which may be null: the override, else the
-- category's, else `default`. The same order as in attempt/settle.sql. Caller: store/retry_policy.rs
select category, kind, max_attempts, backoff_seconds, alert_on_attempt, escalate_on_attempt, description, version
from (
    select 1 as rank, error_category as category, kind, max_attempts, backoff_seconds, alert_on_attempt, escalate_on_attempt,
        null::text as description, version
    from engine.retry_override where error_category = $1 and kind = $2
    union all
    select 2, error_category, null, max_attempts, backoff_seconds, alert_on_attempt, escalate_on_attempt, description, version
    from engine.retry_config where error_category = $1
    union all
    select 3, error_category, null, max_attempts, backoff_seconds, alert_on_attempt, escalate_on_attempt, description, version
    from engine.retry_config where error_category = 'default'
) p
order by rank
limit 1
