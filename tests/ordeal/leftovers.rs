//! What a run leaves behind when everything has ended: rows in the places of jobs, sessions, locks.

use std::time::Duration;

use sqlx::PgPool;

use crate::{kinds::apart, process::held, stage::Stage, wait::until_none_is_left};

/// How long sessions and locks of processes that have ended may stay.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long rows may stay that only the house takes away, each minute those that are a minute old: a claim whose end somebody had
/// locked, a wait of a workflow that was ended from outside.
const HOUSEKEEPING: Duration = Duration::from_mins(3);

/// Where jobs stand that have not ended, and what is there on their behalf; one line a place that is not empty.
const PLACES: &str = "
    select format('engine.%s has %s rows left, the first of job %s', l.place, count(*), min(l.job_id)) from (
        select 'ready' as place, job_id from engine.ready
        union all select 'scheduled', job_id from engine.scheduled
        union all select 'waiting', job_id from engine.waiting
        union all select 'parked', job_id from engine.parked
        union all select 'claim', ids[1] from engine.claim
        union all select 'permit', null::bigint from engine.permit
        union all select 'slot', job_id from engine.slot
        union all select 'event_wait', job_id from engine.event_wait
        union all select 'child', job_id from engine.child
        union all select 'aftermath', job_id from engine.aftermath
    ) l group by l.place order by l.place";

/// Sessions and locks.
const SESSIONS: &str = "
    select 'session ' || application_name || ', ' || state || ': ' || left(query, 80) from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend' and application_name like 'rawops%'
    union all
    select 'advisory lock ' || objid from pg_locks where locktype = 'advisory'
        and database = (select oid from pg_database where datname = current_database())";

/// Locks that a session keeps between two transactions: nobody lets go of them before its end.
const KEPT_LOCKS: &str = "
    select format('advisory lock %s of session %s, which is idle: %s', l.objid, a.application_name, left(a.query, 80))
    from pg_locks l join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'advisory' and l.granted and a.datname = current_database() and a.state = 'idle' and a.application_name like 'rawops%'";

/// What processes hold that have nothing to do and, where all jobs have ended, what is left in their places while workers keep house.
///
/// # Errors
/// The database's.
pub async fn of_idle(stage: &Stage, has_ended: bool) -> Result<Vec<String>, sqlx::Error> {
    let mut left = held::too_much(&stage.fleet).await;
    if has_ended {
        left.extend(until_none_is_left(PATIENCE, async || apart::alive(&stage.folder)).await?);
    }
    left.extend(until_none_is_left(PATIENCE, || sqlx::query_scalar::<_, String>(KEPT_LOCKS).fetch_all(&stage.pool)).await?);
    // What is stuck stands somewhere, and is known.
    if has_ended {
        left.extend(until_none_is_left(HOUSEKEEPING, || sqlx::query_scalar::<_, String>(PLACES).fetch_all(&stage.pool)).await?);
    }
    Ok(left)
}

/// What is left when every process has ended.
///
/// # Errors
/// The database's.
pub async fn of_processes(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    until_none_is_left(PATIENCE, || sqlx::query_scalar(SESSIONS).fetch_all(pool)).await
}
