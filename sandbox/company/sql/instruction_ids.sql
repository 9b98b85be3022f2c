-- Take $1 ids of packing instructions: the quality checks name them before the database would have drawn them.
-- Caller: company/mod.rs
select nextval(pg_get_serial_sequence('raw_ops.packing_instructions', 'id'))
from generate_series(1, $1)
