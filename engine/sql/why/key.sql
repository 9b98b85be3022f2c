-- The limit of key $1: its cap, the slots that are taken, and how many jobs of it wait before job $2, up to $3.
-- Index: waiting_turn, slot_pkey. Caller: store/why.rs
select l.cap,
    (select count(*) from engine.slot s where s.limit_key = $1) as taken,
    (select count(*) from (
        select 1 from engine.waiting w
        where w.limit_key = $1 and w.position < (
            select position from engine.waiting where job_id = $2 and (position = $2 or position <> job_id) limit 1)
        limit $3) x) as ahead
from engine.limit_of_key($1) l
