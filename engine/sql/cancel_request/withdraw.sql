-- Take back the request for job $1, which ended by itself.
-- Caller: store/cancel_request.rs
delete from engine.cancel_request where job_id = $1
