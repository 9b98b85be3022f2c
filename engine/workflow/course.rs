//! How far a workflow is: what is kept of it, at which act the code stands, and whether it has to wait.

use std::sync::{Arc, Mutex, MutexGuard};

use serde::Deserialize;

use crate::{
    Failure, JobResult, Run,
    store::{
        parked::Suspension,
        standby,
        step::{self, Kept},
    },
};

/// The kinds of act, as they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Step,
    Outside,
    Value,
    Sleep,
    Wait,
    Emit,
    Child,
    Join,
    Patch,
    Undo,
    Continue,
}

impl Act {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Outside => "outside",
            Self::Value => "value",
            Self::Sleep => "sleep",
            Self::Wait => "wait",
            Self::Emit => "emit",
            Self::Child => "child",
            Self::Join => "join",
            Self::Patch => "patch",
            Self::Undo => "undo",
            Self::Continue => "continue",
        }
    }
}

/// What a run knows of its workflow. The run and whoever executes it share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Course(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What is kept, loaded at the first act; `None` also when a commit's outcome is unknown.
    memo: Option<Vec<Kept>>,
    /// Whether the outcome of a commit is unknown, so that what is there may not stay.
    doubted: bool,
    /// The position where it last began anew; 0: never.
    base: i32,
    /// The events that it had before that.
    heard: Vec<Heard>,
    /// How many acts the code has passed since.
    passed: usize,
    suspended: Option<Suspension>,
}

/// What is kept of a workflow's new beginning, beside its arguments.
#[derive(Debug, Deserialize)]
struct Beginning {
    heard: Vec<Heard>,
}

/// The last event of a name and key that a workflow received before it began anew.
#[derive(Debug, Deserialize)]
struct Heard {
    name: String,
    key: String,
    id: i64,
}

/// What is kept at the place where the code stands.
pub(crate) enum Met {
    /// The act was begun, or done, before.
    Known(Kept),
    /// It has not been reached before; this is its position.
    New(i32),
}

impl Course {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder of this lock panics")
    }

    /// Why the attempt has to end, if it has to.
    pub(crate) fn suspended(&self) -> Option<Suspension> {
        self.state().suspended.clone()
    }

    /// Ends the attempt for a reason; the code is to hand on what this returns.
    pub(super) fn suspend(&self, why: Suspension) -> Failure {
        self.state().suspended = Some(why);
        gone_to_wait()
    }

    pub(super) fn is_loaded(&self) -> bool {
        self.state().memo.is_some()
    }

    /// Takes over what is kept. A workflow that began anew has that on top.
    pub(super) fn load(&self, mut kept: Vec<Kept>) -> JobResult<()> {
        let mut state = self.state();
        if kept.first().is_some_and(|first| first.kind == Act::Continue.as_str()) {
            let first = kept.remove(0);
            let Beginning { heard } = serde_json::from_str(first.result.as_deref().unwrap_or("null"))?;
            (state.base, state.heard) = (first.position, heard);
        }
        (state.memo, state.doubted) = (Some(kept), false);
        Ok(())
    }

    /// What is kept is to be read anew.
    pub(super) fn forget(&self) {
        self.state().memo = None;
    }

    /// Takes note that a commit failed in an unknown way.
    pub(super) fn doubt(&self) {
        self.forget();
        self.state().doubted = true;
    }

    fn is_doubted(&self) -> bool {
        self.state().doubted
    }

    /// What is kept where the code stands, which is at an act of this kind and name.
    fn meet(&self, act: Act, name: &str) -> JobResult<Met> {
        let mut state = self.state();
        if state.suspended.is_some() {
            return Err(gone_to_wait());
        }
        let State { memo: Some(memo), passed, base, .. } = &mut *state else {
            return Err(Failure::bug("a workflow's history is read before its first act"));
        };
        // A patch that the code asks for no more: nobody is left who goes the old way.
        while memo.get(*passed).is_some_and(|kept| kept.kind == Act::Patch.as_str()) {
            *passed += 1;
        }
        let Some(kept) = memo.get(*passed) else {
            return Ok(Met::New(position(*base, *passed)?));
        };
        let expected = position(*base, *passed)?;
        if kept.position != expected {
            return Err(Failure::bug(format!("the history of this workflow has no step {expected}: somebody removed it")));
        }
        if kept.kind == act.as_str() && kept.name == name {
            return Ok(Met::Known(kept.clone()));
        }
        Err(Failure::bug(format!(
            "step {} of this workflow is {} `{}` in its history and {} `{name}` in its code: the code changed while it was on its way",
            kept.position,
            kept.kind,
            kept.name,
            act.as_str()
        )))
    }

    /// What is kept of a patch where the code stands; `None` when the workflow went past here before there was one.
    fn meet_patch(&self, name: &str) -> JobResult<Option<Met>> {
        let state = self.state();
        if state.suspended.is_some() {
            return Err(gone_to_wait());
        }
        Ok(match state.memo.as_ref().and_then(|memo| memo.get(state.passed)) {
            None => Some(Met::New(position(state.base, state.passed)?)),
            Some(kept) if kept.kind == Act::Patch.as_str() && kept.name == name => Some(Met::Known(kept.clone())),
            Some(_) => None,
        })
    }

    /// Passes the act that was met: it is kept now.
    pub(super) fn pass(&self, done: Option<Kept>) {
        let mut state = self.state();
        let passed = state.passed;
        if let (Some(memo), Some(done)) = (&mut state.memo, done) {
            memo.truncate(passed);
            memo.push(done);
        }
        state.passed += 1;
    }

    /// Whether more is kept than the code has passed.
    pub(super) fn goes_on(&self) -> bool {
        let state = self.state();
        state.memo.as_ref().is_some_and(|memo| memo.len() > state.passed + 1)
    }

    /// The last event of a name and key that this workflow received.
    pub(super) fn last_event(&self, name: &str, key: &str) -> i64 {
        let state = self.state();
        let received = state.memo.iter().flatten().take(state.passed);
        let of_topic = received.filter(|kept| kept.kind == "wait" && kept.name == name && kept.key.as_deref() == Some(key));
        let before = state.heard.iter().filter(|heard| heard.name == name && heard.key == key).map(|heard| heard.id);
        of_topic.filter_map(|kept| kept.event_id).chain(before).max().unwrap_or(0)
    }

    /// What the code left out: it ended although the history goes on.
    pub(crate) fn left_out(&self) -> Option<Failure> {
        let state = self.state();
        let next = state.memo.as_ref()?.iter().skip(state.passed).find(|kept| kept.kind != Act::Patch.as_str())?;
        Some(Failure::bug(format!(
            "the workflow's code ended after {} steps, and its history goes on with step {}, {} `{}`: the code changed while it was on its way",
            state.passed, next.position, next.kind, next.name
        )))
    }
}

fn position(base: i32, passed: usize) -> JobResult<i32> {
    i32::try_from(base as usize + passed + 1).map_err(|_| Failure::bug("a workflow has 2,147,483,647 steps at most"))
}

fn gone_to_wait() -> Failure {
    Failure::not_ready("the workflow waits: hand this on with `?`, the attempt ends here")
}

impl Run {
    /// What is kept of the act of this kind and name at which the code stands.
    pub(super) async fn meet(&self, act: Act, name: &str) -> JobResult<Met> {
        self.remember().await?;
        self.course.meet(act, name)
    }

    /// What is kept of a patch of this name at which the code stands; `None` when the workflow is past it.
    pub(super) async fn meet_patch(&self, name: &str) -> JobResult<Option<Met>> {
        self.remember().await?;
        self.course.meet_patch(name)
    }

    async fn remember(&self) -> JobResult<()> {
        if self.course.is_loaded() {
            return Ok(());
        }
        // A commit that was never answered may be there and wait for the standby, which may take over without it.
        let kept = if self.course.is_doubted() {
            let mut tx = self.pool.begin().await?;
            let kept = step::load(&mut tx, self.job_id).await?;
            standby::await_all(&mut *tx).await?;
            tx.commit().await?;
            kept
        } else {
            step::load(&mut *self.pool.acquire().await?, self.job_id).await?
        };
        self.course.load(kept)
    }
}
