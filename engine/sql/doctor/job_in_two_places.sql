-- Jobs that stand in more than one place, or in one although they have ended: they would run twice.
-- Scans every place and attempt. Caller: store/doctor.rs
with place as materialized (
    select job_id, name from engine.place
),
twice as materialized (
    select job_id, 'stands in ' || string_agg(name, ' and in ' order by name) as detail
    from place group by job_id having count(*) > 1
    union all
    select p.job_id, format('stands in %s although attempt %s ended it as %s', p.name, a.attempt, a.outcome)
    from place p
    join engine.attempt a on a.job_id = p.job_id and a.outcome in ('completed', 'cancelled', 'dead')
)
select job_id, detail from twice
order by job_id, detail
limit 100
