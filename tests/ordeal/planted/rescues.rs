//! Mistakes of whoever takes over from the dead.

use super::{
    Bug,
    Plant::{Branch, Statement},
    Provocation,
};

pub const BUGS: &[Bug] = &[
    Bug {
        id: "R01",
        like: "B01",
        provoked_by: Provocation::Deaths,
        what: "a rescue puts back what had ended",
        plants: &[
            Statement(
                "claim/rescue",
                "and u.job_id is not null and u.attempt is not null\n      and not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt)",
                "and u.job_id is not null and u.attempt is not null",
            ),
            Statement(
                "claim/rescue",
                "from kept\n    where outcome = 'lost' and lost = 0 and job_id",
                "from verdict\n    where outcome = 'lost' and lost = 0 and job_id",
            ),
        ],
    },
    Bug {
        id: "R02",
        like: "B08",
        provoked_by: Provocation::Kills,
        what: "a job that was lost at a later attempt than its first is not put back",
        plants: &[Statement(
            "claim/rescue",
            "where outcome = 'lost' and lost = 0 and job_id not in",
            "where outcome = 'lost' and lost = 0 and attempt = 1 and job_id not in",
        )],
    },
    Bug {
        id: "R03",
        like: "B37",
        provoked_by: Provocation::Calm,
        what: "a job that kills its workers is never given up",
        plants: &[Statement(
            "claim/rescue",
            "p.lost_alone + h.alone::integer >= 3 then 'dead'",
            "p.lost_alone + h.alone::integer >= 3000 then 'dead'",
        )],
    },
    Bug {
        id: "R04",
        like: "B37",
        provoked_by: Provocation::Deaths,
        what: "suspects do not run alone",
        plants: &[Statement("claim/rescue", "job_id, lane_id, attempt + 1, true,\n", "job_id, lane_id, attempt + 1, false,\n")],
    },
    Bug {
        id: "R05",
        like: "B37",
        provoked_by: Provocation::Deaths,
        what: "whoever was lost twice is called poison",
        plants: &[Statement("claim/rescue", "when p.lost_alone + h.alone::integer >= 3 then 'dead'", "when p.lost >= 1 then 'dead'")],
    },
    Bug {
        id: "R06",
        like: "B06",
        provoked_by: Provocation::Zombies,
        what: "a lease that ran out is rescued without a verdict",
        plants: &[Statement("claim/orphans", "w.dead_at is not null", "w.lease_until < engine.now()")],
    },
    Bug {
        id: "R07",
        like: "B37",
        provoked_by: Provocation::Calm,
        what: "a poisoned job has no letter",
        plants: &[Statement(
            "claim/rescue",
            "from kept where outcome = 'dead'\n),\nnoticed",
            "from kept where outcome = 'dead' and false\n),\nnoticed",
        )],
    },
    Bug {
        id: "R08",
        like: "B48",
        provoked_by: Provocation::Calm,
        what: "a poisoned job and a cancelled one keep their unique keys",
        plants: &[Statement(
            "claim/rescue",
            "delete from engine.unique_key where job_id in (select job_id from kept where outcome in ('cancelled', 'dead'))",
            "delete from engine.unique_key where job_id in (select job_id from kept where false)",
        )],
    },
    Bug {
        id: "R09",
        like: "B18",
        provoked_by: Provocation::Outages,
        what: "a lease that ran out is proof of death",
        plants: &[
            Statement("worker/declare_dead", " and look.server_ms * interval '1 millisecond' >= e.longer", ""),
            Statement("worker/declare_dead", "e.lasts + coalesce(silent.time, interval '0')", "e.lasts"),
        ],
    },
    Bug { id: "R10", like: "B56", provoked_by: Provocation::Kills, what: "nobody sweeps", plants: &[Branch("nobody sweeps")] },
    Bug {
        id: "R11",
        like: "B13",
        provoked_by: Provocation::Zombies,
        what: "a worker does not hear that it is dead",
        plants: &[Branch("a worker does not hear that it is dead")],
    },
    Bug {
        id: "R12",
        like: "B37",
        provoked_by: Provocation::Calm,
        what: "suspects run among others",
        plants: &[Branch("suspects run among others")],
    },
    Bug {
        id: "R13",
        like: "B26",
        provoked_by: Provocation::Places(&["stop before run/commit"]),
        what: "a rescue does not wait for a handler's open transaction",
        plants: &[
            Statement("claim/lock", "for update skip locked", "for key share skip locked"),
            Statement("worker/end_sessions", "application_name = $1", "application_name = $1 and false"),
        ],
    },
    Bug {
        id: "R14",
        like: "B33",
        provoked_by: Provocation::Kills,
        what: "claims do not look where what was lost is put",
        plants: &[Statement("claim/take", "where ($13 or head.boost > 0) and lane_id", "where false and lane_id")],
    },
    Bug {
        id: "R15",
        like: "B18",
        provoked_by: Provocation::Calm,
        what: "a lease is renewed for a tenth of its time",
        plants: &[Statement(
            "worker/renew",
            "lease_until = engine.now() + $2 * interval '1 millisecond'",
            "lease_until = engine.now() + $2 * interval '0.1 milliseconds'",
        )],
    },
    Bug {
        id: "R16",
        like: "B56",
        provoked_by: Provocation::Kills,
        what: "a lease is over half a minute after its time",
        plants: &[Statement("worker/declare_dead", "> e.lasts + ", "> interval '30 seconds' + e.lasts + ")],
    },
    Bug {
        id: "R17",
        like: "B24",
        provoked_by: Provocation::Kills,
        what: "the lock of a rescue is its session's, and kept",
        plants: &[Statement("claim/lock_rescue", "pg_try_advisory_xact_lock", "pg_try_advisory_lock")],
    },
];
