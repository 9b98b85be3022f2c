-- Count what stands where, unless somebody did less than $1 ms ago.
-- Caller: metrics.rs
select engine.measure_figures($1)
