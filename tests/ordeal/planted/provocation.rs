//! What provokes a planted bug: most show in any run, some only after a fault of their kind, which a short run may not draw.

use crate::{faults::Class, sizes::gate_classes};

/// What strikes while a bug is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provocation {
    /// Nothing: the workload alone shows it.
    Calm,
    /// Processes are killed, and drained.
    Kills,
    /// Workers are stopped past their leases.
    Zombies,
    /// Workers are told to stop.
    Drains,
    /// Processes die, stop and end in every way.
    Deaths,
    /// Sessions end, the network is bad, answers are lost.
    Connections,
    /// Answers are late or lost while workers are told to stop.
    LateCommits,
    /// The server is away, or what leads to it.
    Outages,
    /// Processes come to harm at one of these places.
    Places(&'static [&'static str]),
    /// Everything that a gate has.
    All,
}

impl Provocation {
    /// The classes of faults.
    pub fn classes(self) -> Vec<Class> {
        match self {
            Self::Calm => Vec::new(),
            Self::Kills => vec![Class::Kill],
            Self::Zombies => vec![Class::Zombie],
            Self::Drains => vec![Class::Drain],
            Self::Deaths => vec![Class::Kill, Class::Zombie, Class::Place, Class::Drain],
            Self::Connections => vec![Class::Sessions, Class::Network, Class::LostReply],
            Self::LateCommits => vec![Class::Network, Class::LostReply, Class::Drain],
            Self::Outages => vec![Class::Kill, Class::Sessions, Class::Network, Class::ServerCrash, Class::ServerStop],
            Self::Places(_) => vec![Class::Place],
            Self::All => gate_classes(),
        }
    }

    /// The places that faults are directed to; none when they strike anywhere.
    pub const fn places(self) -> &'static [&'static str] {
        match self {
            Self::Places(places) => places,
            _ => &[],
        }
    }

    /// Its name in the journal and on the page.
    pub fn name(self) -> String {
        match self {
            Self::Places(places) => places.join(", "),
            Self::LateCommits => "late commits".into(),
            other => format!("{other:?}").to_lowercase(),
        }
    }
}
