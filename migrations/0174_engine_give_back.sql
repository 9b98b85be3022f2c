-- What leaves its line, and the slot that changes hands, are written at their places, which are known. By a plan that was made
-- while few slots were taken each was looked for in the whole index.
-- Locks: none.

create or replace function engine.give_back(jobs bigint[]) returns integer
language plpgsql
set enable_seqscan = off
as $$
declare
    moved integer;
begin
    with freed as materialized (
        select s.ctid as slot, s.limit_key, s.n, row_number() over (partition by s.limit_key order by s.n) as turn
        from (select ctid, limit_key, n from engine.slot where job_id = any (give_back.jobs) for update) s
    ),
    usable as materialized (
        select f.limit_key, count(*) as places
        from (select k.limit_key, l.cap from (select distinct limit_key from freed) k
              cross join lateral engine.limit_of_key(k.limit_key) l where l.rate is null) c
        join freed f on f.limit_key = c.limit_key and f.n <= c.cap
        group by f.limit_key
    ),
    heads as materialized (
        select u.limit_key, h.place, h.position, h.job_id, h.lane_id, h.attempt,
            row_number() over (partition by u.limit_key order by h.position) as turn
        from usable u
        cross join lateral (
            select w.ctid as place, w.position, w.job_id, w.lane_id, w.attempt from engine.waiting w
            where w.limit_key = u.limit_key
            order by w.position
            limit u.places
            for update skip locked
        ) h
    ),
    handed as (
        update engine.slot s set job_id = h.job_id
        from freed f join heads h on h.limit_key = f.limit_key and h.turn = f.turn
        where s.ctid = f.slot
    ),
    dropped as (
        delete from engine.slot where ctid = any (array(
            select f.slot from freed f
            where not exists (select from heads h where h.limit_key = f.limit_key and h.turn = f.turn)))
    ),
    gone as (
        delete from engine.waiting where ctid = any (array(select place from heads))
    ),
    entered as (
        insert into engine.ready (lane_id, attempt, position, job_id)
        select h.lane_id, h.attempt, nextval('engine.position'), h.job_id from heads h
        returning 1
    )
    select count(*) into moved from entered;
    if moved > 0 then
        perform engine.wake();
    end if;
    return moved;
end
$$;
