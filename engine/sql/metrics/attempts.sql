-- Attempts that ended in the last hour, by outcome and category.
-- Caller: metrics.rs
select outcome, coalesce(category, '') as category, count(*) as ended
from engine.attempt
where finished_at > (select engine.now()) - interval '1 hour'
group by 1, 2
order by 1, 2
