-- Where a key keeps its order a workflow that waits keeps its slot: the next job of the key came before it went on. One that
-- wakes while its key is held goes to the head of the line, as a retry does, and its slot is given back.
-- Locks: none. At run time as before, and what engine.give_back locks.

create or replace function engine.unpark(ids bigint[]) returns integer
language plpgsql
as $$
declare
    gone record;
    woken integer := 0;
    held bigint[] := '{}';
begin
    if ids is null or cardinality(ids) = 0 then
        return 0;
    end if;
    -- The claimers' floor trusts that whoever takes a position already has a transaction id.
    perform pg_current_xact_id();
    for gone in
        delete from engine.parked p
        where p.ctid = any (array(select o.ctid from engine.parked o where o.job_id = any (ids) order by o.job_id for update))
        returning p.job_id, p.lane_id, p.attempt, (select j.limit_key from engine.job j where j.id = p.job_id) as limit_key
    loop
        if gone.limit_key is not null and exists (select from engine.slot s where s.job_id = gone.job_id)
            and (select l.cap = 0 from engine.limit_of_key(gone.limit_key) l) then
            insert into engine.waiting (position, job_id, lane_id, attempt, limit_key)
            values (gone.job_id, gone.job_id, gone.lane_id, gone.attempt, gone.limit_key);
            held := held || gone.job_id;
        else
            perform engine.put_in_place(gone.job_id, gone.lane_id, gone.attempt, null, gone.limit_key);
        end if;
        woken := woken + 1;
    end loop;
    if cardinality(held) > 0 then
        perform engine.give_back(held);
    end if;
    return woken;
end
$$;
