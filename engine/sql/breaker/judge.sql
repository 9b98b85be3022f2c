-- Open, close or put off the breakers of systems $1, which lock.sql has locked, by what count.sql has counted, and by what was
-- heard since: attempts of system $2[n] failed in category $3[n], the last with error $5[n], and the other side asked for
-- $4[n] ms. Probes that ended: of system $6[n], job $7[n], attempt $8[n] was answered, failed in category $10[n], made no call or says
-- nothing ($9[n]). $11: what cool-downs are multiplied by, some 0.75 to 1.25.
-- Only what failed after a breaker was closed opens it again. A probe that made no call is followed by another at once, since nothing was
-- asked of the system; one that says nothing, a second later.
-- Returns what changed its state.
-- Locks: the breakers. Caller: store/breaker.rs
with clock as materialized (
    select engine.now() as at
),
heard as materialized (
    select b.system, max(u.wait_ms) as wait_ms, max(u.category) as category, max(u.error) as error
    from engine.breaker b
    join unnest($2::text[], $3::text[], $4::bigint[], $5::text[]) u (system, category, wait_ms, error) on u.system = b.system
    where b.system = any ($1) and u.category = any (b.categories)
    group by b.system
),
told as materialized (
    select b.system, case when u.finding = 'failed' and not u.category = any (b.categories) then 'nothing' else u.finding end as word
    from engine.breaker b
    join unnest($6::text[], $7::bigint[], $8::integer[], $9::text[], $10::text[]) u (system, job_id, attempt, finding, category)
        on u.system = b.system and u.job_id = b.probe_job and u.attempt = b.probe_attempt
    where b.system = any ($1) and b.state = 'half_open'
),
verdict as materialized (
    select b.system, c.at, h.system is not null as failing, h.category, h.error,
        least(coalesce(h.wait_ms, 0), 86400000) as wait_ms,
        $11::float8 * least(b.cooldown_most_ms, b.cooldown_ms * 2::float8 ^ least(b.openings, 30)) as cooldown_ms,
        case
            when b.held is not null then null
            when b.state = 'closed' then (
                select 'open' from (
                    select sum(n.answered + n.failed) as ended, sum(n.failed) as failed from engine.breaker_count n
                    where n.system = b.system and n.closings = b.closings
                      and n.second > c.at - b.window_ms * interval '1 millisecond') n
                where h.system is not null and n.ended >= b.at_least and n.failed >= b.share * n.ended)
            when b.state = 'open' then case when h.wait_ms > 0 then 'wait' end
            when t.word = 'answered' then 'close'
            when t.word = 'failed' then 'open'
            when t.word = 'no_call' then 'at once'
            when t.word = 'nothing' then 'again'
        end as act
    from engine.breaker b
    cross join clock c
    left join heard h on h.system = b.system
    left join told t on t.system = b.system
    where b.system = any ($1)
),
changed as (
    update engine.breaker b
    set state = case v.act when 'open' then 'open' when 'at once' then 'open' when 'again' then 'open' when 'close' then 'closed' else b.state end,
        since = case when v.act = 'close' or (v.act = 'open' and b.state = 'closed') then v.at else b.since end,
        closings = b.closings + case v.act when 'close' then 1 else 0 end,
        openings = case v.act when 'open' then b.openings + 1 when 'close' then 0 else b.openings end,
        probe_at = case v.act
            when 'open' then v.at + greatest(v.wait_ms, v.cooldown_ms) * interval '1 millisecond'
            when 'at once' then v.at
            when 'again' then v.at + interval '1 second'
            when 'wait' then greatest(b.probe_at, v.at + v.wait_ms * interval '1 millisecond')
            when 'close' then null
            else b.probe_at end,
        last_failed_at = case when v.failing then v.at else b.last_failed_at end,
        last_category = case when v.failing then v.category else b.last_category end,
        last_error = case when v.failing then v.error else b.last_error end
    from verdict v
    where v.system = b.system and (v.act is not null or v.failing)
    returning b.system, v.act, b.probe_at, b.last_error
),
woken as materialized (
    select engine.wake() from (select from changed where act = 'close' limit 1) closed
)
select system, act, probe_at, last_error from changed where act in ('open', 'close') and (select count(*) from woken) >= 0
