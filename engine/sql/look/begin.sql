-- Plan the statements of this transaction without compiling them: over many partitions that takes longer (0.7 s
-- measured) than most of them run.
-- Caller: store/look.rs
select set_config('jit', 'off', true) as jit
