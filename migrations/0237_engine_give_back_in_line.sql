-- Two jobs of a key that stand in line again at one time, each with a slot, could come to each other's: the first of the two to be written
-- held two slots for a moment, which is refused. A rescue failed then whenever it was tried, and the jobs were never given back; and
-- so it was where a worker gave them back itself.
-- And one of these that has a slot again stands where others stand that were given back.
-- Locks: none that lasts. At run time: as before, slots of the jobs and the heads of their lines.

create or replace function engine.give_back(jobs bigint[]) returns integer
language plpgsql
set enable_seqscan = off
as $$
declare
    known bigint[] := jobs;
    moved integer;
begin
    -- The slots of those that stand in line, which are at their own ids there, are nobody's meanwhile.
    update engine.slot s set job_id = -s.job_id
    where s.job_id = any (give_back.jobs) and exists (select from engine.waiting w where w.position = s.job_id);
    if found then
        jobs := jobs || array(select -u.id from unnest(jobs) u (id));
    end if;
    moved := engine.give_back(jobs, array_fill(0::bigint, array[coalesce(cardinality(jobs), 0)]));
    if moved > 0 then
        update engine.ready r set position = engine.position_of_return(r.attempt)
        where r.job_id = any (known) and r.position <> r.job_id and r.position > 0;
    end if;
    return moved;
end
$$;
