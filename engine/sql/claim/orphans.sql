-- The next $2 claims after claim $1 whose worker is declared dead or gone, in their order.
-- Caller: store/claim/rescue.rs
select c.worker_id, c.id
from engine.claim c
left join engine.worker w on w.id = c.worker_id
where c.id > $1 and (w.id is null or w.dead_at is not null)
order by c.id
limit $2
