//! Mistakes of cancelling, requeueing and webhooks.

use super::{
    Bug,
    Plant::{Branch, Function, Statement},
    Provocation,
};

pub const BUGS: &[Bug] = &[
    Bug {
        id: "O01",
        like: "B54",
        provoked_by: Provocation::Calm,
        what: "a running job is not told to cancel",
        plants: &[Branch("a running job is not told to cancel")],
    },
    Bug {
        id: "O02",
        like: "B54",
        provoked_by: Provocation::Calm,
        what: "a job that waits for its time cannot be cancelled",
        plants: &[Function(
            "engine.cancel_waiting",
            "delete from engine.scheduled s where s.job_id = $1",
            "delete from engine.scheduled s where s.job_id = $1 and false",
        )],
    },
    Bug {
        id: "O03",
        like: "B54",
        provoked_by: Provocation::Calm,
        what: "a cancelled job that waits stays where it is",
        plants: &[Function("engine.cancel_waiting", "select $1, p.attempt, engine.now()", "select $1, p.attempt + 1, engine.now()")],
    },
    Bug {
        id: "O04",
        like: "B55",
        provoked_by: Provocation::Calm,
        what: "two operators requeue one letter twice",
        plants: &[
            Function("engine.lock_letter", "where d.id = $1 for update", "where d.id = $1"),
            Function(
                "engine.lock_letter",
                "if found_letter.resolved then",
                "if found_letter.resolved and found_letter.resolved_at < engine.now() - interval '1 minute' then",
            ),
        ],
    },
    Bug {
        id: "O05",
        like: "B55",
        provoked_by: Provocation::Calm,
        what: "a requeue leaves its letter open",
        plants: &[Function("engine.requeue_letter", "set resolved = true", "set resolved = false")],
    },
    Bug {
        id: "O06",
        like: "B45",
        provoked_by: Provocation::Calm,
        what: "a requeue with other arguments runs the old ones",
        plants: &[Function("engine.requeue_letter", "coalesce($3, dead.payload)", "dead.payload")],
    },
    Bug {
        id: "O07",
        like: "B28",
        provoked_by: Provocation::Outages,
        what: "a webhook is answered before it is committed",
        plants: &[Branch("a webhook is answered before it is committed")],
    },
    Bug {
        id: "O08",
        like: "B55",
        provoked_by: Provocation::Calm,
        what: "a letter that was put away stays open",
        plants: &[Function("engine.discard_letter", "set resolved = true", "set resolved = false")],
    },
    Bug {
        id: "O09",
        like: "B55",
        provoked_by: Provocation::Calm,
        what: "a letter that was put away can be requeued by who saw it before",
        plants: &[Function(
            "engine.lock_letter",
            "if found_letter.resolved then",
            "if found_letter.resolved and found_letter.requeued_job_id is not null then",
        )],
    },
    Bug {
        id: "O10",
        like: "B58",
        provoked_by: Provocation::Calm,
        what: "a breaker that an operator holds open lets probes go",
        plants: &[
            Statement("breaker/look", "b.held is null and b.state = 'open' and b.probe_at", "b.state = 'open' and b.probe_at"),
            Statement("breaker/lock_due", "b.held is null and b.state = 'open' and b.probe_at", "b.state = 'open' and b.probe_at"),
        ],
    },
    Bug {
        id: "O11",
        like: "B55",
        provoked_by: Provocation::Calm,
        what: "a schedule that is run by hand makes two jobs",
        plants: &[Function(
            "engine.run_schedule",
            "select * into made from engine.enqueue(kind, args, queue, priority,",
            "perform from engine.enqueue(kind, args, queue, priority);\n    select * into made from engine.enqueue(kind, args, queue, priority,",
        )],
    },
    Bug {
        id: "O12",
        like: "B55",
        provoked_by: Provocation::Calm,
        what: "a restart takes over the step that it is to begin with",
        plants: &[Function(
            "engine.inherit_steps",
            "from engine.step s where s.job_id = old and s.position < upto;",
            "from engine.step s where s.job_id = old and s.position <= upto;",
        )],
    },
];
