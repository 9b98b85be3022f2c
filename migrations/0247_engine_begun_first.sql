-- What a held key takes back stands in front of its line if it had begun: a job that came back from a snooze or a retry. It stood at its own
-- id, and one of an older id that was committed later, by a long transaction, ran between two attempts of a job whose key keeps its order.
-- Locks: none that lasts. At run time: as before.

create or replace function engine.take_back_held(most integer default null) returns integer
language plpgsql
set enable_seqscan = off
as $$
declare
    moved integer;
begin
    if not exists (select from engine.paused where scope = 'key') then
        return 0;
    end if;
    -- Of the workers one at a time looks; a pause takes back its own in any case.
    if most is not null and not pg_try_advisory_xact_lock(hashtextextended('engine.take_back_held', 0)) then
        return 0;
    end if;
    with held as materialized (
        select h.job_id, h.limit_key from engine.slots_held() h
    ),
    idle as materialized (
        select r.ctid as place from engine.ready r
        where r.job_id = any (array(select h.job_id from held h)) and r.position <> r.job_id
        limit most
        for update skip locked
    ),
    back as (
        delete from engine.ready where ctid = any (array(select i.place from idle i)) returning job_id, lane_id, attempt
    ),
    -- Its own id is a position that nobody else can have, and before all that came later; so far below zero, before all there is.
    waits as (
        insert into engine.waiting (position, job_id, lane_id, attempt, limit_key)
        select case when b.attempt > 1 then b.job_id - (2::bigint ^ 62)::bigint else b.job_id end, b.job_id, b.lane_id, b.attempt, h.limit_key
        from back b join held h on h.job_id = b.job_id
    )
    delete from engine.slot where job_id in (select b.job_id from back b);
    get diagnostics moved = row_count;
    return moved;
end
$$;
