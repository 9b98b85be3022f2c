-- The versions of the retry policy, newest first: of category $1 and kind $2 where they are given; at most $3.
-- Caller: store/retry_policy.rs
select id, category, kind, version, what, row, changed_at, changed_by
from engine.retry_policy_history
where ($1::text is null or category = $1) and ($2::text is null or kind = $2)
order by id desc
limit $3
