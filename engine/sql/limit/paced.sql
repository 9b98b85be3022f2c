-- Whether any key has a rate, and up to $1 keys with one for which jobs wait; and what changes with any limit and any pause of keys.
-- Caller: store/limit.rs
select exists (select from engine.limit_setting where scope = 'key' and rate is not null) as any,
    array(select p.limit_key from engine.pace p
          where exists (select from engine.waiting w where w.limit_key = p.limit_key)
          order by p.free_at limit $1) as keys,
    (select concat_ws(' ', count(*), max(changed_at)) from engine.limit_setting where scope = 'key')
        || (select concat_ws(' ', '', count(*), max(since), min(until)) from engine.paused where scope = 'key') as edition
