-- Every breaker, the kinds that call its system, and what was counted in its window.
-- Caller: store/breaker.rs
select b.system, coalesce(b.held, b.state) as state, case when b.held is not null then b.held_at else b.since end as since,
    case when b.held is null and b.state = 'open' then b.probe_at end as probe_at,
    case when b.held is null and b.state = 'half_open' then b.probe_job end as probe_job, b.openings,
    b.held_by, b.reason, b.last_failed_at, b.last_category, b.last_error,
    b.categories, b.share, b.at_least, b.window_ms, b.cooldown_ms, b.cooldown_most_ms, b.changed_at, b.changed_by,
    array(select k.kind from engine.breaker_kind k where k.system = b.system order by k.kind) as kinds, n.ended, n.failed
from engine.breaker b
cross join lateral (
    select coalesce(sum(c.answered + c.failed), 0)::bigint as ended, coalesce(sum(c.failed), 0)::bigint as failed
    from engine.breaker_count c
    where c.system = b.system and c.closings = b.closings and c.second > engine.now() - b.window_ms * interval '1 millisecond'
) n
order by b.system
