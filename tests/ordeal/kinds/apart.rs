//! Programs in processes of their own: whatever they do to their process, their worker goes on.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use engine::{
    Failure, Job, JobResult, Kinds, Outcome, Run,
    isolated::{self, Isolation},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Play, QUEUE, category, devour, dig};
use crate::{
    program::{Act, Death},
    witness::{self, What},
};

/// What comes before the folder of the run, in the arguments of such a process.
const APART: &str = "--apart";

/// Plays a program in a process of its own. It cannot ask how often it was tried before, so that each attempt does the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlayApart(pub Play);

impl Job for PlayApart {
    const KIND: &'static str = "ordeal.play_apart";
    const QUEUE: &'static str = QUEUE;
    const TIMEOUT: Duration = Duration::from_hours(1);
    const ISOLATED: Option<Isolation> = Some(Isolation { memory_mib: 256, cpu_seconds: 60 });

    async fn run(&self, run: &mut Run) -> JobResult {
        witness::say(run, &self.0.key, What::Started(0));
        let answer = self.play(run).await;
        witness::say(run, &self.0.key, What::Ended);
        answer
    }
}

impl PlayApart {
    async fn play(&self, run: &Run) -> JobResult {
        for (number, act) in self.0.acts.iter().enumerate() {
            match act {
                Act::Work(ms) => tokio::time::sleep(Duration::from_millis(*ms)).await,
                Act::Block(ms) => std::thread::sleep(Duration::from_millis(*ms)),
                Act::Outside => witness::say(run, &self.0.key, What::Outside(number)),
                Act::Fail(blame) => return Err(Failure::new(category(*blame), format!("act {number} fails on purpose"))),
                Act::Panic => panic!("act {number} panics on purpose"),
                Act::Hold => std::future::pending().await,
                Act::Cancel => return Ok(Outcome::Cancel(format!("act {number} says so"))),
                Act::Die(Death::Abort) => std::process::abort(),
                Act::Die(Death::Stack) => return Ok(Outcome::Done(json!(dig(0)))),
                Act::Die(Death::Memory) => return Ok(Outcome::Done(json!(devour()))),
                Act::Finish => return Ok(Outcome::Done(self.0.output(0))),
                other => return Err(Failure::bug(format!("a process of its own cannot {other:?}"))),
            }
        }
        Err(Failure::bug("the program has no end"))
    }
}

/// The kinds with the way in which a worker of a run in this folder starts such processes.
pub fn started_in(kinds: Kinds, folder: &Path) -> Kinds {
    kinds.isolated_with([APART.into(), folder.to_string_lossy().into_owned()])
}

/// Such processes of a run in this folder that live, one line each.
///
/// # Errors
/// The file system's.
pub fn alive(folder: &Path) -> std::io::Result<Vec<String>> {
    let folder = folder.to_string_lossy();
    let words = |line: Vec<u8>| line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect::<Vec<_>>();
    let is_one = |words: &[String]| words.windows(2).any(|pair| pair[0] == APART && pair[1] == *folder);
    // One that has ended meanwhile has no line, and neither have threads of the system.
    let there = std::fs::read_dir("/proc")?.flatten().filter_map(|process| {
        let line = std::fs::read(process.path().join("cmdline")).ok()?;
        is_one(&words(line)).then(|| format!("process {} of a job is left", process.file_name().to_string_lossy()))
    });
    Ok(there.collect())
}

/// Plays the program that this process was started for, if it was.
///
/// # Errors
/// What keeps it from beginning.
pub fn run() -> Option<anyhow::Result<()>> {
    let mut words = std::env::args().skip(1);
    (words.next()? == APART).then(|| play_in(&PathBuf::from(words.next().unwrap_or_default())))
}

fn play_in(folder: &Path) -> anyhow::Result<()> {
    witness::open_for(folder, std::os::unix::process::parent_id())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(isolated::serve(&Kinds::new().with::<PlayApart>()));
    anyhow::bail!("a process of its own was started without a job")
}
