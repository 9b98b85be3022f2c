-- Rows of the retry policy that decide nonsense, or no row for categories without one of their own. The tables refuse
-- both; this finds what came past their triggers. Caller: store/doctor.rs
with policy as (
    select 'retry_config' as source, error_category as name, max_attempts, backoff_seconds, alert_on_attempt, escalate_on_attempt
    from engine.retry_config
    union all
    select 'retry_override', concat_ws(' of ', error_category, kind), max_attempts, backoff_seconds, alert_on_attempt, escalate_on_attempt
    from engine.retry_override
),
fault (detail) as (
    select 'retry_config has no row `default`, which decides for categories without a row of their own'
    where not exists (select from engine.retry_config where error_category = 'default')
    union all
    select format('%s, row %s: %s', source, name, f.fault)
    from policy
    cross join lateral engine.retry_policy_fault(max_attempts, backoff_seconds, alert_on_attempt, escalate_on_attempt) f (fault)
    where f.fault is not null
)
select null::bigint as job_id, detail from fault
order by detail
limit 100
