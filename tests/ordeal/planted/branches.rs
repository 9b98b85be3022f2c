//! Mistakes of the worker's own code.

use super::{Bug, Plant::Branch, Provocation};

pub const BUGS: &[Bug] = &[
    Bug {
        id: "W01",
        like: "B29",
        provoked_by: Provocation::Connections,
        what: "results are dropped when the connection breaks",
        plants: &[Branch("recorder gives up when the connection breaks")],
    },
    Bug {
        id: "W02",
        like: "B41",
        provoked_by: Provocation::Calm,
        what: "a panic counts as done",
        plants: &[Branch("a panic counts as done")],
    },
    Bug {
        id: "W03",
        like: "B35",
        provoked_by: Provocation::Calm,
        what: "a snooze burns an attempt",
        plants: &[Branch("a snooze burns an attempt")],
    },
    Bug {
        id: "W04",
        like: "B49",
        provoked_by: Provocation::Drains,
        what: "a shutdown does not wait for the recorder",
        plants: &[Branch("a shutdown does not wait for the recorder")],
    },
    Bug {
        id: "W05",
        like: "B10",
        provoked_by: Provocation::Calm,
        what: "jobs that share one slot of their key run side by side",
        plants: &[Branch("a run goes on side by side")],
    },
    Bug {
        id: "W06",
        like: "B02",
        provoked_by: Provocation::LateCommits,
        what: "an attempt that is stopped ends without waiting for a commit that it asked for",
        plants: &[Branch("an attempt ends beside its own commit")],
    },
    Bug {
        id: "W07",
        like: "B02",
        provoked_by: Provocation::LateCommits,
        what: "of jobs that are worked on in one call one commits after its attempt has ended",
        plants: &[Branch("a commit is asked for after the attempt's end")],
    },
    Bug {
        id: "W08",
        like: "B57",
        provoked_by: Provocation::Calm,
        what: "each look of a worker leaves a file open",
        plants: &[Branch("each look leaves a file open")],
    },
    Bug {
        id: "W09",
        like: "B19",
        provoked_by: Provocation::Calm,
        what: "a worker that sleeps is woken by nobody",
        plants: &[Branch("a sleeper is woken by nobody")],
    },
    Bug {
        id: "W10",
        like: "B25",
        provoked_by: Provocation::Calm,
        what: "an attempt that snoozes keeps a connection of the pool",
        plants: &[Branch("an attempt that snoozes keeps a connection")],
    },
];
