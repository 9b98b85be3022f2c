-- The first job of a list that was enqueued over HTTP has the request's idempotency key itself, as a job alone has, so that two requests
-- with one key meet in one row; its others have keys that no request can send. Until now a list was known by `k 0`, `k 1` and so on,
-- which two requests of one job each may be, too; those were written by transactions of their own.
-- A web process of before writes and looks for the old keys: it is to end first, or a list that is sent to one and again to the other is
-- made twice.
-- Locks: the rows of lists that were sent within the retention of keys.

with list as (
    select a.producer, left(a.key, -2) as key, a.xmin::text as written_by
    from engine.enqueue_key a
    join engine.enqueue_key b on b.producer = a.producer and b.key = left(a.key, -1) || '1' and b.xmin::text = a.xmin::text
    where a.key like '_% 0' and exists (select from raw_ops.api_tokens t where t.name = a.producer)
)
update engine.enqueue_key k
set key = case when k.key = list.key || ' 0' then list.key else list.key || ' · ' || substring(k.key from '\d+$') end
from list
where k.producer = list.producer and k.key ~ ' \d+$' and regexp_replace(k.key, ' \d+$', '') = list.key and k.xmin::text = list.written_by
  and not exists (select from engine.enqueue_key single where single.producer = list.producer and single.key = list.key);
