-- A workflow may wait for the first of several children to end, and go on while the others run.
--
-- Locks: access exclusive on engine.parked, for a moment; it has a row for each workflow that waits.

alter table engine.parked drop constraint parked_waits_for_check;
alter table engine.parked add constraint parked_waits_for_check check (waits_for in ('event', 'children', 'child'));
comment on column engine.parked.waits_for is 'event; children: that all have ended; child: that one has.';

drop index engine.parked_parents;
create index parked_parents on engine.parked (job_id) where waits_for in ('children', 'child');
