//! A workflow that completed and runs again from a later step has what it did before that, also what has not ended.

use engine::{JobId, store::workflow};

use super::{
    hand::count,
    jobs::Running,
    workflows::{output, start, with_traces},
};
use crate::support::flows::{Act, Flow};

#[tokio::test]
async fn a_child_that_a_completed_workflow_left_open_is_not_made_again() {
    let db = with_traces().await;
    let worker = Running::start(db.pool(), 2);
    let child = Flow { acts: vec![Act::Wait("go on".into(), "child".into(), None)] };
    let first = start(&db, vec![Act::Leave(vec![child], false), Act::Step("last".into())]).await;
    output(&db, first).await;
    let again: JobId = workflow::restart(db.pool(), first, 2, "ada").await.expect("restarted").job_id;
    output(&db, again).await;
    assert_eq!(count(db.pool(), "select count(*) from engine.job").await, 3, "two workflows and one child");
    let parent: i64 = sqlx::query_scalar("select parent_id from engine.child").fetch_one(db.pool()).await.expect("the child is open");
    assert_eq!(parent, again.0);
    worker.stop().await;
}
