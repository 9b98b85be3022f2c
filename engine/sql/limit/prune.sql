-- Forget the rates of keys that owe nothing since a day; at most $1.
-- Caller: store/limit.rs
delete from engine.pace where limit_key = any (array(
    select limit_key from engine.pace where free_at < engine.now() - interval '1 day' limit $1))
    -- One that was charged since stays.
    and free_at < engine.now() - interval '1 day'
