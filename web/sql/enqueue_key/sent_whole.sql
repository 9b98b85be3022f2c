-- Whether keys $2 of producer $1 were all written by one transaction, and key $3 by none: a request is known by all of its keys or
-- by none of them. The first of them was asked for before, so whoever wrote it has ended.
-- Caller: api/jobs.rs
select (select count(distinct k.xmin::text) from engine.enqueue_key k where k.producer = $1 and k.key = any ($2)) <= 1
   and not exists (select from engine.enqueue_key k where k.producer = $1 and k.key = $3)
