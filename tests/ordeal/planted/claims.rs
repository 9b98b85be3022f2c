//! Mistakes of whoever enqueues and claims.

use super::{
    Bug,
    Plant::{Branch, Function, Statement},
    Provocation,
};

pub const BUGS: &[Bug] = &[
    Bug {
        id: "C01",
        like: "B05",
        provoked_by: Provocation::Calm,
        what: "a claim leaves its jobs where they were, so that two workers run them",
        plants: &[Statement(
            "claim/take",
            "delete from engine.ready where ctid = any (array(select place from chosen))\n    returning lane_id, position, job_id, attempt",
            "select lane_id, position, job_id, attempt from engine.ready where ctid = any (array(select place from chosen))",
        )],
    },
    Bug {
        id: "C02",
        like: "B09",
        provoked_by: Provocation::Calm,
        what: "a claim of three jobs is not written down",
        plants: &[Statement("claim/take", "from taken having count(*) > 0", "from taken having count(*) not in (0, 3)")],
    },
    Bug {
        id: "C03",
        like: "B02",
        provoked_by: Provocation::Places(&["stop before claim/take"]),
        what: "a worker that was declared dead claims",
        plants: &[Statement(
            "claim/take",
            "and exists (select from engine.worker w where w.id = $1 and w.dead_at is null)\n),",
            "and true\n),",
        )],
    },
    Bug {
        id: "C04",
        like: "B45",
        provoked_by: Provocation::Calm,
        what: "a claim hands over other arguments than were stored",
        plants: &[Statement("claim/take", "j.args)::text as args", "jsonb_set(j.args, '{chaff}', '7'))::text as args")],
    },
    Bug {
        id: "C05",
        like: "B58",
        provoked_by: Provocation::Calm,
        what: "a paused queue is claimed from",
        plants: &[Statement(
            "claim/take",
            "and not exists (select from engine.paused p where p.name = case p.scope when 'queue' then l.queue when 'kind' then l.kind end)",
            "and true",
        )],
    },
    Bug {
        id: "C06",
        like: "B31",
        provoked_by: Provocation::Connections,
        what: "an idempotency key does not keep a second job from being made",
        plants: &[Function(
            "engine.enqueue",
            "        if not found then\n            select k.job_id, k.args_hash",
            "        if false then\n            select k.job_id, k.args_hash",
        )],
    },
    Bug {
        id: "C07",
        like: "B46",
        provoked_by: Provocation::Calm,
        what: "a unique key that is held does not keep a second job from being made",
        plants: &[Function(
            "engine.hold_unique_key",
            "        if not (until_started or replaces) then\n            return;",
            "        if not (until_started or replaces) then\n            held_id := null;\n            return;",
        )],
    },
    Bug {
        id: "C08",
        like: "B46",
        provoked_by: Provocation::Calm,
        what: "a bulk enqueue does not look at unique keys",
        plants: &[Statement("job/enqueue_many", "where unique_key is null or id in (select job_id from keyed)", "where true")],
    },
    Bug {
        id: "C09",
        like: "B09",
        provoked_by: Provocation::Calm,
        what: "what is enqueued for later is forgotten when it is due within 200 ms",
        plants: &[Function(
            "engine.enqueue",
            "perform engine.put_in_place(new_id, lane, 1, case when starts > due then starts end, enqueue.limit_key);",
            "if starts is null or starts <= due or starts > due + interval '0.2 s' then perform engine.put_in_place(new_id, lane, 1, case when starts > due then starts end, enqueue.limit_key); end if;",
        )],
    },
    Bug {
        id: "C10",
        like: "B34",
        provoked_by: Provocation::Calm,
        what: "a claimer's floor passes transactions that are still open",
        plants: &[Branch("a floor passes open transactions")],
    },
    Bug {
        id: "C11",
        like: "B33",
        provoked_by: Provocation::Places(&["fail after claim/take"]),
        what: "jobs of a claim whose answer was lost are left lying",
        plants: &[Branch("strays are left lying")],
    },
    Bug {
        id: "C12",
        like: "B46",
        provoked_by: Provocation::Calm,
        what: "a job that replaces another is dropped for it",
        plants: &[Function("engine.hold_unique_key", "        elsif replaces then", "        elsif false then")],
    },
    Bug {
        id: "C13",
        like: "B45",
        provoked_by: Provocation::Calm,
        what: "the answers of many jobs enqueued at once are each other's",
        plants: &[Statement("job/enqueue_many", "order by new.n", "order by new.n desc")],
    },
    Bug {
        id: "C14",
        like: "B54",
        provoked_by: Provocation::Calm,
        what: "a job whose deadline has passed runs all the same",
        plants: &[Statement("claim/take", "j.deadline is not null and j.deadline < engine.now(), j.parent_id", "false, j.parent_id")],
    },
    Bug {
        id: "C15",
        like: "B58",
        provoked_by: Provocation::Calm,
        what: "jobs are claimed that call a system whose breaker is open",
        plants: &[Statement("claim/take", "and not exists (select from engine.barred b where b.kind = l.kind)", "and true")],
    },
    Bug {
        id: "C16",
        like: "B18",
        provoked_by: Provocation::Calm,
        what: "a breaker lets its probe go before it is due",
        plants: &[
            Statement(
                "breaker/look",
                "b.state = 'open' and b.probe_at <= (select engine.now()) as probe_due",
                "b.state = 'open' as probe_due",
            ),
            Statement("breaker/lock_due", "b.state = 'open' and b.probe_at <= (select engine.now())", "b.state = 'open'"),
        ],
    },
];
