-- Ask that job $1 stop. Committed before its place is looked for, so that whoever moves it from now on sees it.
-- Caller: store/cancel_request.rs
insert into engine.cancel_request (job_id, requested_by, reason)
select $1, $2, $3 where exists (select from engine.job where id = $1)
on conflict (job_id) do update set job_id = excluded.job_id
