-- Lock the limits of the lanes of due suspects, as lock.sql does of lanes that are named.
-- Locks: the limits' rows, skip locked. Caller: store/claim/limited.rs
with wanted as materialized (
    select s.id from engine.limit_setting s
    where (s.cap is not null or s.rate is not null)
      and exists (
          select from engine.lane l
          where l.id in (select d.lane_id from engine.scheduled d where d.alone and d.run_at <= (select engine.now()))
            and ((s.scope = 'queue' and s.name = l.queue) or (s.scope = 'kind' and s.name = l.kind)))
),
locked as materialized (
    select s.id from engine.limit_setting s where s.id in (select id from wanted) order by s.id for update skip locked
)
select (select count(*) from wanted) as wanted, (select coalesce(array_agg(id), '{}') from locked) as locked
