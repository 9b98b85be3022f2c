-- Attempts that ended in the last hour, by outcome and category.
-- Caller: metrics.rs
select outcome, category, ended from engine.attempt_figures order by outcome, category
