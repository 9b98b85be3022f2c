-- Notices: what a person should hear of. A failure that reached the policy's alert_on_attempt or escalate_on_attempt, and
-- every death, leaves one row, written by the statement that records the failure.
--
-- The engine tells nobody: whoever uses it takes the rows away (engine.take_notices) and says it where people look. Only
-- failures pay for it, and only those that count. Rows that nobody takes are gone after a week.
-- Locks: creates new objects only.

create table engine.notice (
    id bigint generated always as identity primary key,
    at timestamptz not null,
    level text not null check (level in ('alert', 'escalate', 'dead')),
    job_id bigint not null,
    attempt integer not null,
    queue text not null,
    kind text not null,
    category text,
    error text
);
comment on table engine.notice is 'What a person should hear of: taken away by whoever tells people.';
comment on column engine.notice.level is
    'alert and escalate: the failure had the number of the policy''s alert_on_attempt or escalate_on_attempt; dead: neither, and there is no next.';

-- Takes notices away, oldest first, grouped: one row a kind, category and level.
-- Locks: the rows, skip locked.
create function engine.take_notices(max_rows integer)
returns table (level text, queue text, kind text, category text, times integer, jobs bigint[], attempt integer, error text, first_at timestamptz, last_at timestamptz)
language sql volatile
as $$
    with taken as (
        delete from engine.notice where id in (select n.id from engine.notice n order by n.id limit max_rows for update skip locked)
        returning *
    )
    select t.level, min(t.queue), t.kind, t.category, count(*)::integer,
           (array_agg(t.job_id order by t.id desc))[1:5], max(t.attempt), (array_agg(t.error order by t.id desc))[1], min(t.at), max(t.at)
    from taken t
    group by t.level, t.kind, t.category
    order by min(t.id)
$$;
