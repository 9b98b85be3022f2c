//! Joins that a later attempt passes over, where the end of the child cannot be read at first.

use std::time::Duration;

use engine::{Child, Client, Ending, First, Job, JobId, JobResult, Kinds, NewJob, Outcome, Run, WorkerConfig};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::jobs::{Running, of};
use super::workflows::output;
use crate::support::{Database, broken, kinds::NoOp};

/// Does an act, and asks again when it failed: returns its answer and how often it failed.
macro_rules! asking_again {
    ($failed:ident, $act:expr) => {
        match broken::once("child/endings", async { $act.await }).await {
            Err(failure) if failure.message.contains("a failpoint broke it") => {
                $failed += 1;
                $act.await?
            }
            answer => answer?,
        }
    };
}

/// Waits for its children in every way; the attempt that completes has passed over all of it.
#[derive(Serialize, Deserialize)]
struct Patient {}

impl Job for Patient {
    const KIND: &'static str = "test.patient";

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut failed = 0;
        let made = run.children("together", &[child(0), child(1)]).await?;
        let mut open = Vec::new();
        for n in 2..8 {
            open.push(run.child("one", &child(n)).await?);
        }
        let mut taken: Vec<JobId> = Vec::new();
        for _ in 0..2 {
            let (place, _) = asking_again!(failed, run.join_any("any", &open.iter().collect::<Vec<&Child>>()));
            taken.push(open.remove(place).job_id());
        }
        for _ in 0..2 {
            let among: Vec<&Child> = open.iter().collect();
            let First::Child(place, _) = asking_again!(failed, run.wait_first::<String>("never", "at all", &among, None)) else {
                panic!("an event came that nobody emitted")
            };
            taken.push(open.remove(place).job_id());
        }
        let within = asking_again!(failed, run.join_any_within("in time", &open.iter().collect::<Vec<&Child>>(), Duration::from_mins(5)));
        taken.push(open.remove(within.expect("one ends in time").0).job_id());
        let last = open.pop().expect("one is left");
        assert!(matches!(asking_again!(failed, run.join(&last)), Ending::Completed(_)));
        taken.push(last.job_id());
        assert_eq!(asking_again!(failed, run.join_all(&made)).len(), 2);
        run.step("after", async |_| Ok(())).await?;
        taken.sort_unstable();
        taken.dedup();
        let snoozed: bool = sqlx::query_scalar("select exists (select from engine.attempt where job_id = $1 and outcome = 'snoozed')")
            .bind(run.job_id())
            .fetch_one(run.pool())
            .await?;
        Ok(if snoozed { Outcome::Done(json!({ "taken": taken.len(), "failed": failed })) } else { Outcome::Snooze(Duration::ZERO) })
    }
}

fn child(n: i64) -> NewJob {
    of(&NoOp { n })
}

#[tokio::test]
async fn an_act_whose_child_s_end_could_not_be_read_is_where_it_was() {
    let db = Database::new().await;
    let id = Client::new(db.pool().clone()).enqueue(&of(&Patient {})).await.expect("enqueued").id;
    let kinds = Kinds::new().with::<NoOp>().with::<Patient>();
    let worker = Running::with(db.pool(), kinds, WorkerConfig::default());
    assert_eq!(output(&db, id).await, json!({ "taken": 6, "failed": 7 }), "each of seven joins, read anew by the last attempt");
    worker.stop().await;
}
