-- A cancel that was asked for while the end of the job's attempt was being committed.
--
-- That commit did not see the request, and whoever asked saw a running job. So the request stood for ever beside a job that
-- had ended, or was obeyed only when a retry of next week came up. Workers look again at what stands.
-- Locks: creates one function only.

-- Deals with requests older than a second whose job does not run: the job is taken out of its place and ends as cancelled;
-- where it has ended, or is gone, the request goes. Returns how many requests it dealt with, `most` at most.
-- Locks: the places of those jobs. One that cannot be dealt with is left for the next time and keeps nobody else.
create function engine.settle_cancels(most integer default 100) returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    asked record;
    settled integer := 0;
begin
    for asked in
        select r.job_id, r.requested_by, r.reason from engine.cancel_request r
        where r.requested_at < engine.now() - interval '1 second'
          and not exists (
              select from engine.claim c, unnest(c.ids, c.attempts) u (job_id, attempt)
              where u.job_id = r.job_id
                and not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt))
        order by r.job_id
        limit most
    loop
        begin
            if engine.cancel_waiting(asked.job_id,
                    concat_ws(': ', format('cancelled by %s', asked.requested_by), asked.reason)) <> 'running' then
                settled := settled + 1;
            elsif not exists (select from engine.job j where j.id = asked.job_id) then
                delete from engine.cancel_request r where r.job_id = asked.job_id;
                settled := settled + 1;
            end if;
        exception when others then
            raise warning 'the request to cancel job % stands: %', asked.job_id, sqlerrm;
        end;
    end loop;
    return settled;
end
$$;
