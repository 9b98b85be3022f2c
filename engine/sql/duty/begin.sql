-- Let no statement of this transaction take longer than $1, and plan them without compiling: over many partitions that
-- takes longer than most of them run.
-- Caller: store/duty.rs
select set_config('statement_timeout', $1, true) as patience, set_config('jit', 'off', true) as jit
