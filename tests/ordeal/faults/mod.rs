//! What strikes a run, one file a class.

mod clock;
mod disk_full;
mod drain;
mod hang;
mod kill;
mod lost_reply;
mod network;
mod outside;
pub mod partition;
mod place;
mod pooler;
mod promotion;
mod roll;
mod server_crash;
mod server_stop;
mod sessions;
mod zombie;

use std::{fmt, str::FromStr};

use rand::{rngs::StdRng, seq::IndexedRandom};

use crate::{
    namespace,
    process::{Role, place::Target},
    stage::Stage,
};

/// A class of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A process is killed with -9.
    Kill,
    /// A process is stopped for longer than its lease, and goes on.
    Zombie,
    /// A process is killed, stopped, held up or cut off between two statements.
    Place,
    /// A worker is stopped in a transaction, and the server's session of it hangs too.
    Hang,
    /// A worker is told to stop while jobs run.
    Drain,
    /// A worker is replaced by one of the other version of the program.
    Roll,
    /// The outside system fails altogether for a while.
    Outside,
    /// A process gets a clock that is off.
    Clock,
    /// Database sessions are ended by an administrator.
    Sessions,
    /// The network is slow, silent, or loses connections without a word.
    Network,
    /// What a worker in a namespace of its own and the server send each other vanishes.
    Partition,
    /// Answers are lost after what they answer was committed.
    LostReply,
    /// The pooler between processes and the server is killed and started again.
    Pooler,
    /// The server's disk takes no more.
    DiskFull,
    /// The server's main process is killed with -9.
    ServerCrash,
    /// The server is stopped, at once or fast.
    ServerStop,
    /// The primary is killed and its synchronous standby takes its place.
    Promotion,
}

/// Who strikes, each by a plan of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hand {
    /// Two that strike processes, and what is outside.
    Processes,
    /// One that strikes the server and the way to it.
    Server,
    /// One that strikes the wires between the server and workers in namespaces.
    Wires,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 17] = [
        Self::Kill,
        Self::Zombie,
        Self::Place,
        Self::Hang,
        Self::Drain,
        Self::Roll,
        Self::Outside,
        Self::Clock,
        Self::Sessions,
        Self::Network,
        Self::Partition,
        Self::LostReply,
        Self::Pooler,
        Self::DiskFull,
        Self::ServerCrash,
        Self::ServerStop,
        Self::Promotion,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Zombie => "zombie",
            Self::Place => "place",
            Self::Hang => "hang",
            Self::Drain => "drain",
            Self::Roll => "roll",
            Self::Outside => "outside",
            Self::Clock => "clock",
            Self::Sessions => "sessions",
            Self::Network => "network",
            Self::Partition => "partition",
            Self::LostReply => "lost-reply",
            Self::Pooler => "pooler",
            Self::DiskFull => "disk-full",
            Self::ServerCrash => "server-crash",
            Self::ServerStop => "server-stop",
            Self::Promotion => "promotion",
        }
    }

    /// How often it is drawn.
    pub const fn weight(self) -> u32 {
        match self {
            Self::Kill | Self::Place => 30,
            Self::Zombie => 16,
            Self::Hang | Self::Drain | Self::Roll | Self::Outside | Self::Clock => 8,
            Self::Sessions | Self::Network | Self::Partition | Self::LostReply | Self::Pooler => 6,
            Self::DiskFull | Self::ServerCrash | Self::ServerStop | Self::Promotion => 4,
        }
    }

    /// Whose it is to strike: what strikes the server or the way to it strikes all, so only one such fault goes on at a time.
    pub const fn hand(self) -> Hand {
        match self {
            Self::Kill | Self::Zombie | Self::Place | Self::Hang | Self::Drain | Self::Roll | Self::Outside | Self::Clock => {
                Hand::Processes
            }
            Self::Partition => Hand::Wires,
            Self::Sessions
            | Self::Network
            | Self::LostReply
            | Self::Pooler
            | Self::DiskFull
            | Self::ServerCrash
            | Self::ServerStop
            | Self::Promotion => Hand::Server,
        }
    }

    /// Whether it strikes the server or the way to it, which all share.
    pub fn is_of_server(self) -> bool {
        self.hand() == Hand::Server
    }

    /// Every class that this machine allows.
    pub fn here() -> Vec<Self> {
        Self::ALL.into_iter().filter(|class| *class != Self::Partition || namespace::absence().is_none()).collect()
    }

    /// The classes of a text: `all` that this machine allows, `none`, or names with commas between them.
    ///
    /// # Errors
    /// What is no class, or none that this machine allows.
    pub fn named(text: &str) -> Result<Vec<Self>, String> {
        let classes = match text {
            "all" => return Ok(Self::here()),
            "none" => return Ok(Vec::new()),
            names => names.split(',').map(|name| name.trim().parse()).collect::<Result<Vec<Self>, _>>()?,
        };
        match namespace::absence().filter(|_| classes.contains(&Self::Partition)) {
            Some(why) => Err(format!("{} needs network namespaces: {why}", Self::Partition)),
            None => Ok(classes),
        }
    }

    /// Strikes, and heals. Returns what was struck, and how.
    ///
    /// # Errors
    /// When it cannot be healed.
    pub async fn strike(self, stage: &Stage, targets: &[Target], random: &mut StdRng) -> anyhow::Result<String> {
        match self {
            Self::Kill => kill::strike(stage, random),
            Self::Zombie => Ok(zombie::strike(stage, random).await),
            Self::Place => place::strike(stage, targets, random).await,
            Self::Hang => hang::strike(stage, random).await,
            Self::Drain => Ok(drain::strike(stage, random).await),
            Self::Roll => roll::strike(stage, random).await,
            Self::Outside => Ok(outside::strike(stage, random).await),
            Self::Clock => clock::strike(stage, random).await,
            Self::Sessions => Ok(sessions::strike(stage, random).await),
            Self::Network => Ok(network::strike(stage, random).await),
            Self::Partition => partition::strike(stage, random).await,
            Self::LostReply => Ok(lost_reply::strike(stage, random).await),
            Self::Pooler => pooler::strike(stage, random).await,
            Self::DiskFull => disk_full::strike(stage, random).await,
            Self::ServerCrash => server_crash::strike(stage).await,
            Self::ServerStop => server_stop::strike(stage, random).await,
            Self::Promotion => promotion::strike(stage).await,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Class {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names: Vec<&str> = Self::ALL.iter().map(|class| class.as_str()).collect();
        Self::ALL.into_iter().find(|class| class.as_str() == text).ok_or_else(|| format!("the classes are {}", names.join(", ")))
    }
}

/// A process of some roles that no fault has in hand, taken; `None` when there is none.
fn take(stage: &Stage, random: &mut StdRng, which: impl Fn(Role) -> bool) -> Option<usize> {
    let free = stage.fleet.up(which);
    free.choose(random).copied().filter(|place| stage.fleet.take(*place))
}

/// Nothing was free to be struck.
pub const NOTHING: &str = "nothing";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_those_that_this_machine_allows() {
        let all = Class::named("all").expect("these are classes");
        let absent: Vec<Class> = Class::ALL.into_iter().filter(|class| !all.contains(class)).collect();
        let asked = Class::named("kill, partition");
        match namespace::absence() {
            None => {
                assert_eq!(absent, []);
                assert_eq!(asked, Ok(vec![Class::Kill, Class::Partition]));
            }
            Some(why) => {
                assert_eq!(absent, [Class::Partition]);
                assert_eq!(asked, Err(format!("partition needs network namespaces: {why}")));
            }
        }
        assert_eq!(Class::named("none"), Ok(Vec::new()));
        assert!(Class::named("kill,kil").is_err_and(|words| words.ends_with("server-stop, promotion")));
    }
}
