-- What the systems that a trace has passed have noted, the header `tracestate` of W3C, was dropped where a job was enqueued. It is kept
-- behind `traceparent` in the same column now, after a blank, so that a job without one is as wide as before. Here it is only told from
-- what is no text; whether it is such a header is seen when it is read. A worker of an earlier version takes both for no header.
-- Locks: none that lasts.

create or replace function engine.trace_parent(given text) returns text
language sql stable
as $$
select '00-' || substring(left(coalesce($1, current_setting('engine.trace_parent', true)), 569) from
    '^(?:00-(?=.{52}(?: |$))|(?!00|ff)[0-9a-f]{2}-(?=.{52}(?:[- ]|$)))((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?: [!-~][ -~]*$)?)')
$$;

comment on column engine.event.trace_parent is 'In whose trace it was emitted: the header traceparent of W3C, and tracestate behind a blank where there is one.';
