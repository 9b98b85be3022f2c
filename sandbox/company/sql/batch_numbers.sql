-- The largest number of a batch of each day.
-- Caller: company/mod.rs
select produced_at, max(right(batch_code, 3)::integer)
from raw_ops.batches
where batch_code ~ '^PR-[0-9]{6}-[0-9]{3}$'
group by produced_at
