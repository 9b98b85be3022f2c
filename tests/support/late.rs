//! A workflow that cannot be stopped and acts late: its worker may have been declared dead meanwhile.

use std::time::Duration;

use engine::{Job, JobResult, NewJob, Outcome, Run, Tx};
use serde::{Deserialize, Serialize};

use super::{kinds::NoOp, witness::note};

/// Notes that it starts, takes its time, and then acts in one way, even when it is told to stop meanwhile.
#[derive(Serialize, Deserialize)]
pub struct Late {
    pub ms: u64,
    pub way: LateWay,
}

/// What it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LateWay {
    Step,
    Outside,
    Value,
    Sleep,
    Wait,
    Emit,
    Children,
    Compensate,
    Patch,
    Join,
    Progress,
    Complete,
}

impl LateWay {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Step,
        Self::Outside,
        Self::Value,
        Self::Sleep,
        Self::Wait,
        Self::Emit,
        Self::Children,
        Self::Compensate,
        Self::Patch,
        Self::Join,
        Self::Progress,
        Self::Complete,
    ];
}

impl Job for Late {
    const KIND: &'static str = "test.late";

    async fn run(&self, run: &mut Run) -> JobResult {
        // What is kept is read now: later it would be what another worker kept.
        run.value("begin", || ()).await?;
        let job = NewJob::of(&NoOp { n: run.job_id().0 })?;
        let child = if self.way == LateWay::Join { Some(run.child("late", &job).await?) } else { None };
        if run.attempt() == 1 {
            note(run, "started").await?;
            tokio::time::sleep(Duration::from_millis(self.ms)).await;
        }
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let acted = match &child {
                    Some(child) => run.join(child).await.map(drop),
                    None => self.act(run, &job).await,
                };
                let word = acted.as_ref().map_or_else(|failure| format!("refused: {failure}"), |()| "wrote".into());
                note(run, &word).await?;
                acted
            })
        })?;
        Ok(Outcome::done())
    }
}

impl Late {
    async fn act(&self, run: &mut Run, job: &NewJob) -> JobResult<()> {
        match self.way {
            LateWay::Step => run.step("late", async |tx: &mut Tx| effect(tx).await).await,
            LateWay::Outside => run.step_outside("late", async |_| Ok(())).await,
            LateWay::Value => run.value("late", || ()).await,
            LateWay::Sleep => run.sleep("late", Duration::ZERO).await,
            LateWay::Wait => run.wait_event::<()>("late", "", Duration::ZERO).await.map(drop),
            LateWay::Emit => run.emit("late", "", &()).await,
            LateWay::Children => run.children("late", std::slice::from_ref(job)).await.map(drop),
            LateWay::Compensate => run.compensate_with("late", job).await,
            LateWay::Patch => run.patch("late").await.map(drop),
            LateWay::Join => Ok(()),
            LateWay::Progress => run.progress(1, 2, None).await,
            LateWay::Complete => {
                let mut tx = run.begin().await?;
                effect(&mut tx).await?;
                run.complete_in(tx, serde_json::Value::Null).await.map(drop)
            }
        }
    }
}

async fn effect(tx: &mut Tx) -> JobResult<()> {
    sqlx::query("insert into test_effect (job_id, attempt) values (0, 0)").execute(&mut **tx).await?;
    Ok(())
}
