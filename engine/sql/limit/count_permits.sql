-- Count what runs under limits of queues and kinds, or under that of id $1, of claims that are older than the limit. Returns how many counts were
-- wrong. Ends of such jobs give none of these permits back: the next count does, or the end of their claim.
-- Locks: one advisory lock. Reads claim; job and attempt by key. Caller: store/limit.rs
select engine.count_permits($1)
