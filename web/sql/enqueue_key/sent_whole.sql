-- Whether keys $2 of producer $1 were all written by one transaction, and keys $3 by none: a request is known by all of its keys or
-- by none of them.
-- Caller: api/jobs.rs
select (select count(distinct k.xmin::text) from engine.enqueue_key k where k.producer = $1 and k.key = any ($2)) <= 1
   and not exists (select from engine.enqueue_key k where k.producer = $1 and k.key = any ($3))
