-- Forget occurrences of $1 seconds ago or longer, and of each schedule all but the newest $2; at most $3 rows. The newest
-- of a schedule always stays. Returns how many went.
-- Locks: the rows that go. Caller: store/occurrence.rs
with old as (
    select o.ctid from engine.schedule s
    cross join lateral (
        select ctid, fired_at, row_number() over (order by fired_at desc, occurrence desc) as place
        from engine.occurrence where schedule = s.name
    ) o
    where o.place > $2 or (o.place > 1 and o.fired_at < engine.now() - $1 * interval '1 second')
    limit $3
),
gone as (
    delete from engine.occurrence where ctid = any (array(select ctid from old)) returning 1
)
select count(*) as gone from gone
