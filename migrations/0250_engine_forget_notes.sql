-- What a job said goes with the job, also where it is forgotten by itself: its progress and its log. They were found by reading all that
-- any job ever said, twice a minute; now what goes with a partition is found by its ids, as the steps of workflows are, and the rest here.
-- Locks: none that lasts. At run time: rows of what ended jobs said.

create or replace function engine.forget_ended_in(part text, batch integer) returns bigint
language plpgsql
set jit = off
as $$
declare
    past bigint[];
begin
    execute format($q$
        select array(
            select a.job_id from engine.%I a join engine.job j on j.id = a.job_id
            where ((a.outcome = 'completed' and a.finished_at < $2) or (a.outcome = 'cancelled' and a.finished_at < $3)
                or (a.outcome = 'dead' and a.finished_at < $4))
              and a.job_id not in (select u.id from engine.claim c cross join unnest(c.ids) u (id) where u.id is not null)
              and (j.parent_id is null or not exists (select from engine.job p where p.id = j.parent_id)
                   or exists (select from engine.attempt f where f.job_id = j.parent_id and f.outcome in ('completed', 'cancelled', 'dead')))
              and (a.outcome = 'completed' or not engine.is_wanted(a.job_id, a.outcome))
            limit $1)$q$, part)
        into past using batch, engine.kept_since('completed'), engine.kept_since('cancelled'), engine.kept_since('dead');
    -- The attempts first: a job of which they are left is a fault, and one without them is none that lives.
    delete from engine.attempt a where a.job_id = any (past);
    delete from engine.job j where j.id = any (past);
    delete from engine.step s where s.job_id = any (past);
    delete from engine.child_end e where e.parent_id = any (past);
    delete from engine.compensation c where c.job_id = any (past);
    delete from engine.restart r where r.job_id = any (past);
    delete from engine.progress p where p.job_id = any (past);
    delete from engine.log_line l where l.job_id = any (past);
    return cardinality(past);
end
$$;
