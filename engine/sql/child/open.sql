-- Whether children that steps $2 of workflow $1 made have not ended.
-- Index: child_open. Caller: store/child.rs
select exists (select from engine.child where parent_id = $1 and position = any ($2::integer[])) as open
