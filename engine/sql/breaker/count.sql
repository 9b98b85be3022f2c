-- Add attempts that ended to the current second of their systems: $3[n] of system $1[n] ended in category $2[n], or were
-- answered where that is null. Categories that say nothing of the system are left out.
-- Locks: the counts of this second, in the order of systems. Caller: store/breaker.rs
insert into engine.breaker_count as c (system, closings, second, answered, failed)
select b.system, b.closings, date_trunc('second', engine.now()),
    coalesce(sum(u.ended) filter (where u.category is null), 0), coalesce(sum(u.ended) filter (where u.category = any (b.categories)), 0)
from unnest($1::text[], $2::text[], $3::bigint[]) u (system, category, ended)
join engine.breaker b on b.system = u.system
where u.ended > 0 and (u.category is null or u.category = any (b.categories))
group by b.system, b.closings
order by b.system
on conflict (system, closings, second) do update set answered = c.answered + excluded.answered, failed = c.failed + excluded.failed
