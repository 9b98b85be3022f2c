//! Acts that wait for one of several things.

use std::time::Duration;

use engine::{Child, First, JobResult, NewJob, Run};

use super::{EVENT, passes, patiently};
use crate::program::Program;

/// How long is waited at a time for what may not come soon.
const WHILE: Duration = Duration::from_millis(400);

/// Makes children in one act and waits for all of them: for those that were made, since others may hold the keys of some.
pub(super) async fn join_all(run: &mut Run, children: &[Program]) -> JobResult<()> {
    let jobs: Vec<NewJob> = children.iter().map(Program::job).collect();
    let made = patiently!(run.children("children", &jobs))?;
    let plain = children.iter().filter(|child| child.unique.is_none()).count();
    assert!((plain..=children.len()).contains(&made.jobs().len()), "{} children were made of {}", made.jobs().len(), children.len());
    let ended = patiently!(run.join_counts(&made))?.total();
    assert_eq!(ended, made.jobs().len() as i64, "so many ends of the children that were made");
    Ok(())
}

/// Makes children one by one and waits for each end, in the order in which they come.
pub(super) async fn join_as_they_end(run: &mut Run, children: &[Program]) -> JobResult<()> {
    let mut open: Vec<Child> = Vec::new();
    for child in children {
        open.push(patiently!(run.child("one of several", &child.job()))?);
    }
    while !open.is_empty() {
        let among: Vec<&Child> = open.iter().collect();
        let (place, _) = patiently!(run.join_any("any of several", &among))?;
        open.remove(place);
    }
    Ok(())
}

/// Makes a child, and takes its end and an event as they come, each once.
pub(super) async fn take_what_comes(run: &mut Run, child: &Program, key: &str) -> JobResult<()> {
    let child = patiently!(run.child("beside an event", &child.job()))?;
    let (mut ended, mut came) = (false, false);
    while !(ended && came) {
        let open: &[&Child] = if ended { &[] } else { &[&child] };
        if came {
            ended = patiently!(run.join_any_within("what is left", open, WHILE))?.is_some();
            continue;
        }
        match patiently!(run.wait_first::<String>(EVENT, key, open, WHILE))? {
            First::Child(..) => ended = true,
            First::Event(payload) => {
                assert_eq!(payload, key, "the event of {key} came with another payload");
                came = true;
            }
            First::Late => (),
        }
    }
    Ok(())
}
