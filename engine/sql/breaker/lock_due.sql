-- Lock the breakers through which a probe may go, of the systems that kinds $1 call, if nobody else has. A statement of its own,
-- so that a breaker whose probe has gone is not taken for one that waits for it.
-- Locks: the breakers, skip locked. Caller: store/breaker.rs
select b.system from engine.breaker b
where b.held is null and b.state = 'open' and b.probe_at <= (select engine.now())
  and b.system in (select k.system from engine.breaker_kind k where k.kind = any ($1))
order by b.system
for update skip locked
