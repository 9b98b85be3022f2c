-- What runs under the limit of a queue or a kind is counted by batches, not by jobs: one row when a batch is claimed, one each time
-- that some of it ends, and none once the claim is closed. A row a job, put in and taken out, with two indexes, cost more than
-- all else that a limit asks for. Rows are never changed, so those who end jobs of one batch do not wait for each other.
-- Locks: engine.permit, which is made anew of what runs; workers of the version before have ended.

alter table engine.permit rename to permit_before;
drop index engine.permit_setting;
create table engine.permit (
    claim_id bigint not null,
    setting_id integer not null,
    jobs integer not null check (jobs <> 0)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
create index permit_setting on engine.permit (setting_id) include (jobs);
create index permit_claim on engine.permit (claim_id);
comment on table engine.permit is 'How many jobs of each claim run under the limit of a queue or a kind: the sum of its rows, which are taken away with the claim.';

insert into engine.permit (claim_id, setting_id, jobs)
select c.id, p.setting_id, count(*)
from engine.claim c
cross join unnest(c.ids, c.attempts) u (job_id, attempt)
join engine.permit_before p on p.job_id = u.job_id
where not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt)
group by c.id, p.setting_id;
drop table engine.permit_before;
