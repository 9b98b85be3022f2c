-- What 0175 refuses from now on, where it stands already: a job without an end to its time has no deadline, and one that never comes
-- comes in the last year that every program reads. A claim of which half is missing keeps no ended job from being forgotten.
-- Locks: the rows that are changed; engine.job is read whole.

update engine.job set deadline = null where deadline >= '10000-01-01 00:00:00+00';
update engine.scheduled set run_at = '9999-12-31 00:00:00+00' where run_at >= '10000-01-01 00:00:00+00';
update engine.worker set lease_until = engine.now() where lease_until >= '10000-01-01 00:00:00+00';

create or replace function engine.forget_ended(batch integer DEFAULT 1000) returns bigint
language plpgsql security definer
set jit = off
set search_path = pg_catalog, pg_temp
as $$
declare
    part text;
    gone bigint := 0;
    past bigint[];
begin
    if not pg_try_advisory_xact_lock(hashtextextended('engine.forget_ended', 0)) then
        return 0;
    end if;
    for part in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'engine.attempt'::regclass
          and (c.relname !~ '^attempt_\d+$'
               or ((regexp_match(c.relname, '_(\d+)$'))[1]::bigint > (select p.last_value from engine.position p) and pg_relation_size(c.oid) > 0))
    loop
        execute format($q$
            select array(
                select a.job_id from engine.%I a join engine.job j on j.id = a.job_id
                where ((a.outcome = 'completed' and a.finished_at < $2) or (a.outcome = 'cancelled' and a.finished_at < $3)
                    or (a.outcome = 'dead' and a.finished_at < $4))
                  and a.job_id not in (select u.id from engine.claim c cross join unnest(c.ids) u (id) where u.id is not null)
                  and (j.parent_id is null or not exists (select from engine.job p where p.id = j.parent_id)
                       or exists (select from engine.attempt f where f.job_id = j.parent_id and f.outcome in ('completed', 'cancelled', 'dead')))
                limit $1)$q$, part)
            into past using batch - gone, engine.kept_since('completed'), engine.kept_since('cancelled'), engine.kept_since('dead');
        -- The attempts first: a job of which they are left is a fault, and one without them is none that lives.
        delete from engine.attempt a where a.job_id = any (past);
        delete from engine.job j where j.id = any (past);
        delete from engine.step s where s.job_id = any (past);
        delete from engine.child_end e where e.parent_id = any (past);
        delete from engine.compensation c where c.job_id = any (past);
        gone := gone + cardinality(past);
        exit when gone >= batch;
    end loop;
    return gone;
end
$$;
