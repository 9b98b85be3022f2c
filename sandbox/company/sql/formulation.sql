-- The newest recipe, one in use if there is one.
-- Caller: company/mod.rs
select id
from raw_ops.formulations
order by effective_until is not null, effective_from desc, id
limit 1
