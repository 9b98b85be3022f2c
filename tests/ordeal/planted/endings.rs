//! Mistakes of whoever records how attempts end.

use super::{
    Bug,
    Plant::{Branch, Statement},
    Provocation,
};

/// What proves that an attempt is still its worker's, and what proves nothing.
const PROOF: &str = "select c.id, case when $5::text is not null then set_config('engine.trace_parent', $5, true) end as trace
from engine.claim c
where c.worker_id = $1 and c.id = $2 and c.ids @> array[$3::bigint]
  and exists (select from engine.worker w where w.id = $1 and w.dead_at is null)
  and not exists (select from engine.attempt a where a.job_id = $3 and a.attempt = $4)
for key share of c";
const NO_PROOF: &str =
    "select $2::bigint as id, case when $5::text is not null then set_config('engine.trace_parent', $5, true) end as trace
where $1::bigint is not null and $3::bigint is not null and $4::integer is not null";

/// What keeps out what fails on a worker that was declared dead.
const DEAD: &str = "where g.outcome <> 'failed' or not exists (select from engine.worker w where w.id = $1 and w.dead_at is not null)";

/// While there is something to rescue.
const SECOND_LATER: &str = "where (select pg_sleep(1) from engine.claim o join engine.worker d on d.id = o.worker_id where d.dead_at is not null limit 1) is not null and c.id > $1";

pub const BUGS: &[Bug] = &[
    Bug {
        id: "E01",
        like: "B03",
        provoked_by: Provocation::Zombies,
        what: "a late completion overwrites what a rescue wrote",
        plants: &[Statement(
            "attempt/complete",
            "on conflict do nothing",
            "on conflict (job_id, attempt) do update set outcome = excluded.outcome, worker_id = excluded.worker_id, output = excluded.output, finished_at = excluded.finished_at, error = null",
        )],
    },
    Bug {
        id: "E02",
        like: "B01",
        provoked_by: Provocation::Zombies,
        what: "a late failure overwrites what a rescue wrote",
        plants: &[
            Statement("attempt/settle", DEAD, ""),
            Statement(
                "attempt/settle",
                "on conflict do nothing",
                "on conflict (job_id, attempt) do update set outcome = excluded.outcome, worker_id = excluded.worker_id, error = excluded.error, finished_at = excluded.finished_at",
            ),
        ],
    },
    Bug {
        id: "E03",
        like: "B04",
        provoked_by: Provocation::Kills,
        what: "a job is recorded as done before it runs",
        plants: &[Branch("a job is recorded before it runs")],
    },
    Bug {
        id: "E04",
        like: "B09",
        provoked_by: Provocation::Drains,
        what: "a released job is not put back",
        plants: &[Statement(
            "attempt/settle",
            "where goes_on and job_id not in",
            "where goes_on and outcome <> 'released' and job_id not in",
        )],
    },
    Bug {
        id: "E05",
        like: "B09",
        provoked_by: Provocation::Calm,
        what: "a failed job is not scheduled again when it failed twice before",
        plants: &[Statement(
            "attempt/settle",
            "where outcome in ('failed', 'snoozed') or (outcome = 'waiting'",
            "where (outcome in ('failed', 'snoozed') and coalesce(used, 1) < 3) or (outcome = 'waiting'",
        )],
    },
    Bug {
        id: "E06",
        like: "B35",
        provoked_by: Provocation::Calm,
        what: "the next attempt has the number of the last",
        plants: &[Statement(
            "attempt/settle",
            "job_id, lane_id, attempt + 1, limit_key is not null from kept",
            "job_id, lane_id, attempt, limit_key is not null from kept",
        )],
    },
    Bug {
        id: "E07",
        like: "B36",
        provoked_by: Provocation::Calm,
        what: "a job is tried once more than the policy says",
        plants: &[Statement("attempt/settle", "select 1 + count(*) as used", "select count(*) as used")],
    },
    Bug {
        id: "E08",
        like: "B36",
        provoked_by: Provocation::Calm,
        what: "a job's own cap is not looked at",
        plants: &[Statement("attempt/settle", "coalesce(j.max_attempts, 32767)", "32767")],
    },
    Bug {
        id: "E09",
        like: "B37",
        provoked_by: Provocation::Kills,
        what: "a lost attempt counts as a failure",
        plants: &[Statement(
            "attempt/settle",
            "a.job_id = g.job_id and a.outcome = 'failed'",
            "a.job_id = g.job_id and a.outcome in ('failed', 'lost')",
        )],
    },
    Bug {
        id: "E10",
        like: "B36",
        provoked_by: Provocation::Calm,
        what: "what dies of a bug has no letter",
        plants: &[Statement(
            "attempt/settle",
            "from kept where outcome = 'dead'",
            "from kept where outcome = 'dead' and category <> 'bug'",
        )],
    },
    Bug {
        id: "E11",
        like: "B45",
        provoked_by: Provocation::Calm,
        what: "a letter has lost the arguments",
        plants: &[Statement(
            "attempt/settle",
            "select 'engine', kind, args, error, coalesce(used, 1) - 1",
            "select 'engine', kind, '{}'::jsonb, error, coalesce(used, 1) - 1",
        )],
    },
    Bug {
        id: "E12",
        like: "B48",
        provoked_by: Provocation::Calm,
        what: "a completed job keeps its unique key",
        plants: &[Statement(
            "attempt/complete",
            "delete from engine.unique_key where job_id = any ($6) and",
            "delete from engine.unique_key where job_id = any ($6) and false and",
        )],
    },
    Bug {
        id: "E13",
        like: "B47",
        provoked_by: Provocation::Calm,
        what: "a job that waits for its next attempt has given up its unique key",
        plants: &[Statement(
            "attempt/settle",
            "delete from engine.unique_key\n    where job_id in (select job_id from kept where outcome in ('completed', 'cancelled', 'dead'))",
            "delete from engine.unique_key\n    where job_id in (select job_id from kept)",
        )],
    },
    Bug {
        id: "E14",
        like: "B48",
        provoked_by: Provocation::Calm,
        what: "a dead job keeps its unique key",
        plants: &[Statement(
            "attempt/settle",
            "delete from engine.unique_key\n    where job_id in (select job_id from kept where outcome in ('completed', 'cancelled', 'dead'))",
            "delete from engine.unique_key\n    where job_id in (select job_id from kept where outcome in ('completed', 'cancelled'))",
        )],
    },
    Bug {
        id: "E15",
        like: "B39",
        provoked_by: Provocation::Calm,
        what: "the error of a failure is not kept",
        plants: &[Statement(
            "attempt/settle",
            "at, outcome, category, error, output\n    from verdict",
            "at, outcome, category, null, output\n    from verdict",
        )],
    },
    Bug {
        id: "E16",
        like: "B45",
        provoked_by: Provocation::Calm,
        what: "the output of a job is not kept",
        plants: &[Statement("attempt/complete", "at, 'completed', output\n    from given", "at, 'completed', null\n    from given")],
    },
    Bug {
        id: "E17",
        like: "B44",
        provoked_by: Provocation::Calm,
        what: "a snooze and a retry come at once",
        plants: &[Statement("attempt/settle", "coalesce(g.delay_ms, 0) / 1000.0", "coalesce(g.delay_ms, 0) / 100000.0")],
    },
    Bug {
        id: "E18",
        like: "B02",
        provoked_by: Provocation::Zombies,
        what: "a handler's transaction does not ask whether the attempt is still its own",
        plants: &[Statement("claim/assert", PROOF, NO_PROOF)],
    },
    Bug {
        id: "E19",
        like: "B02",
        provoked_by: Provocation::Zombies,
        what: "neither the beginning nor the end of a handler's transaction asks whose the attempt is",
        plants: &[Statement("claim/assert", PROOF, NO_PROOF), Branch("a late completion commits its effects")],
    },
    Bug {
        id: "E20",
        like: "B37",
        provoked_by: Provocation::Places(&["stop before attempt/settle"]),
        what: "what fails on a worker that was declared dead counts as a failure of the job, and a rescue comes a second after its verdict",
        plants: &[Statement("attempt/settle", DEAD, ""), Statement("claim/orphans", "where c.id > $1", SECOND_LATER)],
    },
    Bug {
        id: "E21",
        like: "B36",
        provoked_by: Provocation::Calm,
        what: "nobody is told of a death",
        plants: &[Statement(
            "attempt/settle",
            "from kept where outcome = 'dead' or (outcome = 'failed' and used in (alert_on, escalate_on))",
            "from kept where outcome = 'failed' and used in (alert_on, escalate_on)",
        )],
    },
    Bug {
        id: "E22",
        like: "B22",
        provoked_by: Provocation::Calm,
        what: "a workflow waits for an event that came between its look and its wait",
        plants: &[
            Statement(
                "attempt/settle",
                "select w.job_id from engine.event_wait w\n    where w.job_id in (select job_id from given where waits_for = 'event')\n    for key share skip locked",
                "select job_id from given where waits_for = 'event'",
            ),
            Statement("parked/wake_missed", "limit $1", "limit 0 * $1"),
        ],
    },
    Bug {
        id: "E23",
        like: "B43",
        provoked_by: Provocation::Calm,
        what: "a job that is cancelled while it runs keeps the slot of its key",
        plants: &[Statement(
            "attempt/settle",
            "where k.limit_key is not null and not k.is_suspect",
            "where k.limit_key is not null and k.outcome <> 'cancelled' and not k.is_suspect",
        )],
    },
    Bug {
        id: "E24",
        like: "B44",
        provoked_by: Provocation::Calm,
        what: "an override of the retry policy is not looked at",
        plants: &[Statement("attempt/settle", "where o.kind = l.kind and o.error_category = g.category", "where false")],
    },
];
