-- A lane (a queue, a kind and a priority) is looked at by every claim and never forgotten, and a queue is named by whoever enqueues: there
-- is a bound on how many there are. Which exist is asked first, so that at the bound all of them go on.
create or replace function engine.lane_of(queue text, kind text, priority smallint) returns integer
language plpgsql
as $$
declare
    most constant integer := 10000;
    found_id integer;
begin
    select l.id into found_id from engine.lane l
    where l.queue = lane_of.queue and l.kind = lane_of.kind and l.priority = lane_of.priority;
    if found_id is null then
        if (select count(*) from engine.lane) >= most then
            raise exception 'queue % and kind % of priority %: there are % lanes already, and claims look at each; use queues that there are, and keep their jobs apart by limit keys',
                to_json(left(lane_of.queue, 60)), to_json(left(lane_of.kind, 60)), lane_of.priority, most
                using errcode = '22023';
        end if;
        insert into engine.lane (queue, kind, priority)
        values (engine.checked_name('queue', lane_of.queue), engine.checked_name('kind', lane_of.kind), lane_of.priority)
        on conflict do nothing;
        select l.id into found_id from engine.lane l
        where l.queue = lane_of.queue and l.kind = lane_of.kind and l.priority = lane_of.priority;
    end if;
    return found_id;
end
$$;
