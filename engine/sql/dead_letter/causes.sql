-- What open dead letters died of, at most $3 causes, those of most letters first: of kind $1 and category $2 where given. Letters that
-- other programs have left have no fingerprint, and are of a cause by topic.
-- Index: none; every open letter is looked at, of which there are as many as nobody has dealt with. Caller: store/dead_letter.rs
select fingerprint, topic, category, count(*) as letters, min(created_at) as first_at, max(created_at) as last_at,
    (array_agg(error_message order by created_at desc, id desc))[1] as error_message
from engine.dead_letter_queue
where not resolved and ($1::text is null or topic = $1) and ($2::text is null or category = $2)
group by fingerprint, topic, category
order by letters desc, last_at desc, topic
limit $3
