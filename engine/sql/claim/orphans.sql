-- Claims whose worker is declared dead or gone.
-- Caller: store/claim.rs
select c.worker_id, c.id
from engine.claim c
left join engine.worker w on w.id = c.worker_id
where w.id is null or w.dead_at is not null
order by c.id
limit $1
