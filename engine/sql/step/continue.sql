-- Let workflow $1 begin anew after its position $2, in attempt $3, with arguments $4: what it did is forgotten, and how its
-- children ended. What it keeps is which events it has had, as long as those are kept.
-- Locks: its rows; the attempt's fence keeps others out. Caller: store/step.rs
with done as (
    delete from engine.step where job_id = $1 returning kind, name, key, event_id, result
),
ended as (
    delete from engine.child_end where parent_id = $1
),
heard as (
    select h.name, h.key, max(h.id) as id
    from (
        select name, key, event_id as id from done where kind = 'wait' and event_id is not null
        union all
        select r.name, r.key, r.id
        from done cross join lateral jsonb_to_recordset(done.result -> 'heard') r (name text, key text, id bigint)
        where done.kind = 'continue'
    ) h
    where exists (select from engine.event e where e.name = h.name and e.key = h.key and e.id = h.id)
    group by h.name, h.key
)
insert into engine.step (job_id, position, attempt, kind, name, begun_at, ended_at, result)
select $1, $2, $3, 'continue', 'continue', at, at,
    jsonb_build_object('args', $4::jsonb, 'heard', coalesce((select jsonb_agg(to_jsonb(heard)) from heard), '[]'))
from (select engine.now() as at) clock
