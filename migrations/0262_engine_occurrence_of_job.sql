-- A job asks for which time of its schedule it was made. The table has few rows, so the index is made at once.
create index occurrence_of_job on engine.occurrence using btree (job_id) where job_id is not null;
