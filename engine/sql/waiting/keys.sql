-- The next $2 keys after $1 for which a job waits: one look at the index a key, however many jobs it has.
-- Index: waiting_turn. Caller: store/waiting.rs
with recursive found as (
    (select limit_key, 1 as n from engine.waiting where limit_key > $1 order by limit_key limit 1)
    union all
    select next.limit_key, f.n + 1
    from found f
    cross join lateral (
        select w.limit_key from engine.waiting w where w.limit_key > f.limit_key order by w.limit_key limit 1
    ) next
    where f.n < $2
)
select limit_key from found
