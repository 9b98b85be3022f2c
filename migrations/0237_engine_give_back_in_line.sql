-- Two jobs of a key that stand in line again at one time, each with a slot, could come to each other's: the first of the two to be written
-- held two slots for a moment, which is refused. A rescue failed then whenever it was tried, and the jobs were never given back; and
-- so it was where a worker gave them back itself.
-- Locks: none that lasts. At run time: as before, slots of the jobs and the heads of their lines.

create or replace function engine.give_back(jobs bigint[]) returns integer
language plpgsql
set enable_seqscan = off
as $$
begin
    -- The slots of those that stand in line, which are at their own ids there, are nobody's meanwhile.
    update engine.slot s set job_id = -s.job_id
    where s.job_id = any (give_back.jobs) and exists (select from engine.waiting w where w.position = s.job_id);
    if found then
        jobs := jobs || array(select -u.id from unnest(jobs) u (id));
    end if;
    return engine.give_back(jobs, array_fill(0::bigint, array[coalesce(cardinality(jobs), 0)]));
end
$$;
