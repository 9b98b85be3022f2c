//! Mistakes of what goes by the clock: schedules and promotions.

use super::{
    Bug,
    Plant::{Branch, Statement},
    Provocation,
};

pub const BUGS: &[Bug] = &[
    Bug {
        id: "T01",
        like: "B13",
        provoked_by: Provocation::Calm,
        what: "two schedulers lead and each fires everything",
        plants: &[
            Statement("leader/lead", "where l.worker_id = excluded.worker_id or l.until <= engine.now() or", "where true or"),
            Statement(
                "leader/assert",
                "and worker_id = $2 and term = $3 and until > engine.now()",
                "and $2::bigint is not null and $3::bigint is not null",
            ),
            Statement(
                "occurrence/known",
                "select exists (select from engine.occurrence where schedule = $1 and occurrence = $2) as known",
                "select $1::text is null and $2::timestamptz is null as known",
            ),
            Statement("occurrence/put", "values ($1, $2, $3, $4, $5, $6)", "values ($1, $2, $3, $4, $5, $6) on conflict do nothing"),
        ],
    },
    Bug {
        id: "T02",
        like: "B15",
        provoked_by: Provocation::Outages,
        what: "an occurrence that was missed is passed over",
        plants: &[Statement("schedule/advance", "set done_to = $2", "set done_to = greatest($2, engine.now())")],
    },
    Bug {
        id: "T03",
        like: "B15",
        provoked_by: Provocation::Kills,
        what: "nobody takes over from a leader that was killed",
        plants: &[Statement("leader/lead", "or l.until <= engine.now() or", "or")],
    },
    Bug {
        id: "T04",
        like: "B18",
        provoked_by: Provocation::Calm,
        what: "jobs are promoted a second early",
        plants: &[Statement(
            "scheduled/promote",
            "run_at <= (select engine.now()) and not alone",
            "run_at <= (select engine.now()) + interval '1 s' and not alone",
        )],
    },
    Bug {
        id: "T05",
        like: "B11",
        provoked_by: Provocation::Calm,
        what: "a promotion forgets what is due for its third attempt",
        plants: &[Statement(
            "scheduled/promote",
            "from going where limit_key is null",
            "from going where limit_key is null and attempt <> 3",
        )],
    },
    Bug {
        id: "T06",
        like: "B34",
        provoked_by: Provocation::Calm,
        what: "promotion never looks back at what was committed late",
        plants: &[Branch("promotion never looks back")],
    },
    Bug {
        id: "T07",
        like: "B14",
        provoked_by: Provocation::Calm,
        what: "a schedule fires two seconds before its time",
        plants: &[Branch("a schedule fires before its time")],
    },
    Bug {
        id: "T08",
        like: "B12",
        provoked_by: Provocation::Calm,
        what: "a workflow waits for an event although its time is up",
        plants: &[Statement("parked/wake_due", "where wake_at <=", "where false and wake_at <=")],
    },
    Bug {
        id: "T09",
        like: "B58",
        provoked_by: Provocation::Calm,
        what: "a schedule that is paused comes all the same",
        plants: &[Statement("schedule/load", "buffered, problem, paused, cron", "buffered, problem, false as paused, cron")],
    },
];
