-- What open dead letters died of, at most $3 causes, those of most letters first: of kind $1 and category $2 where given. Letters that
-- other programs have left have no fingerprint, and are of a cause by topic.
-- Index: none; every open letter is looked at but for its texts, of which there are as many as nobody has dealt with. Caller: store/dead_letter.rs
with cause as materialized (
    select fingerprint, topic, category, count(*) as letters, min(created_at) as first_at, max(created_at) as last_at,
        (array_agg(id order by created_at desc, id desc))[1] as last_id
    from engine.dead_letter_queue
    where not resolved and ($1::text is null or topic = $1) and ($2::text is null or category = $2)
    group by fingerprint, topic, category
    order by letters desc, last_at desc, topic
    limit $3
)
select c.fingerprint, c.topic, c.category, c.letters, c.first_at, c.last_at, l.error_message
from cause c
join engine.dead_letter_queue l on l.id = c.last_id
order by c.letters desc, c.last_at desc, c.topic
