-- How long what has ended is kept; null seconds: for ever.
-- Caller: store/retention.rs
select what, extract(epoch from kept)::bigint as kept_s, says, changed_at, changed_by
from engine.retention
order by what
