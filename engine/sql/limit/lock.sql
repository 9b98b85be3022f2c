-- Lock the limits of lanes $1, of their queues and their kinds, that nobody else has locked. A statement of its own, so that
-- those after it count all that was claimed before. Returns how many there are, and those that it locked.
-- Locks: the limits' rows, skip locked. Caller: store/claim/limited.rs
with wanted as materialized (
    select s.id from engine.limit_setting s
    where (s.cap is not null or s.rate is not null)
      and exists (
          select from engine.lane l
          where l.id = any ($1)
            and ((s.scope = 'queue' and s.name = l.queue) or (s.scope = 'kind' and s.name = l.kind)))
),
locked as materialized (
    select s.id from engine.limit_setting s where s.id in (select id from wanted) order by s.id for update skip locked
)
select (select count(*) from wanted) as wanted, (select coalesce(array_agg(id), '{}') from locked) as locked
