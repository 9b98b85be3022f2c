-- Whether any key has a rate, and up to $1 keys with one for which jobs wait.
-- Caller: store/limit.rs
select exists (select from engine.limit_setting where scope = 'key' and rate is not null) as any,
    array(select p.limit_key from engine.pace p
          where exists (select from engine.waiting w where w.limit_key = p.limit_key)
          order by p.free_at limit $1) as keys
