-- Put dead letter $1 away, for operator $2, with reason $3.
-- Locks: the letter. Caller: store/dead_letter.rs
select engine.discard_letter($1, $2, $3)
