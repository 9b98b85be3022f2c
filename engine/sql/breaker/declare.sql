-- Take note of which systems kinds call: kind $1[n] calls $2[n], or none where that is null. Breakers are made where they
-- are missing.
-- Locks: new rows, and those of kinds that call another system than before. Caller: store/breaker.rs
with said as materialized (
    select u.kind, u.system from unnest($1::text[], $2::text[]) u (kind, system)
),
made as (
    insert into engine.breaker (system)
    select distinct s.system from said s
    where s.system is not null and not exists (select from engine.breaker b where b.system = s.system)
    order by s.system
    on conflict do nothing
),
gone as (
    delete from engine.breaker_kind k using said s where k.kind = s.kind and s.system is null
)
insert into engine.breaker_kind as k (kind, system)
select s.kind, s.system from said s
where s.system is not null and not exists (select from engine.breaker_kind b where b.kind = s.kind and b.system = s.system)
order by s.kind
on conflict (kind) do update set system = excluded.system
