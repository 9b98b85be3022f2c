-- The $2 keys before $1, or the last ones, for which a job waits, backwards: one look at the index a key, however many jobs it has.
-- Backwards, since at the end of a key's line stands what waits, and at its head what is gone and not cleared away yet.
-- Index: waiting_turn. Caller: store/waiting.rs
with recursive found as (
    select limit_key, 1 as n from (
        (select limit_key from engine.waiting where $1::text is null order by limit_key desc limit 1)
        union all
        (select limit_key from engine.waiting where limit_key < $1 order by limit_key desc limit 1)
    ) last
    union all
    select next.limit_key, f.n + 1
    from found f
    cross join lateral (
        select w.limit_key from engine.waiting w where w.limit_key < f.limit_key order by w.limit_key desc limit 1
    ) next
    where f.n < $2
)
select limit_key from found
