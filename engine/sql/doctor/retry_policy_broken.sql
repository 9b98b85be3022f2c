-- Rows of the retry policy that decide nonsense, or no row for categories without one of their own.
-- Caller: store/doctor.rs
with policy as (
    select 'retry_config' as source, format('%s', error_category) as name, max_attempts, backoff_seconds from engine.retry_config
    union all
    select 'retry_override', format('%s of %s', error_category, kind), max_attempts, backoff_seconds from engine.retry_override
),
fault (detail) as (
    select 'retry_config has no row `default`, which decides for categories without a row of their own'
    where not exists (select from engine.retry_config where error_category = 'default')
    union all
    select format('%s, row %s: max_attempts is %s and must be 1 or more', source, name, coalesce(max_attempts::text, 'null'))
    from policy where coalesce(max_attempts, 0) < 1
    union all
    select format('%s, row %s: backoff_seconds is %s and must be seconds, at least one, none negative', source, name,
                  coalesce(backoff_seconds::text, 'null'))
    from policy
    where coalesce(cardinality(backoff_seconds), 0) = 0
       or exists (select from unnest(backoff_seconds) s (seconds) where seconds is null or seconds < 0)
)
select null::bigint as job_id, detail from fault
order by detail
limit 100
