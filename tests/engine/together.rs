//! Many jobs in one call: each has an outcome of its own.

use std::time::Duration;

use engine::{Client, Ending, JobId};
use serde_json::Value;

use super::jobs::{Running, of};
use crate::support::{Database, kinds::Crowd};

const LIMIT: Duration = Duration::from_secs(20);

async fn run(db: &Database, numbers: impl Iterator<Item = i64>) -> Vec<Ending> {
    let client = Client::new(db.pool().clone());
    let jobs: Vec<_> = numbers.map(|n| of(&Crowd { n }).max_attempts(1)).collect();
    let ids: Vec<JobId> = client.enqueue_many(&jobs).await.expect("enqueued").into_iter().flatten().collect();
    let worker = Running::start(db.pool(), 40);
    let mut endings = Vec::new();
    for id in ids {
        endings.push(client.wait_for_end(id, LIMIT).await.expect("the job exists").expect("it ends in time"));
    }
    worker.stop().await;
    endings
}

#[tokio::test]
async fn jobs_of_one_kind_are_gathered_and_each_has_its_own_outcome() {
    let db = Database::new().await;
    let endings = run(&db, (0..59).chain([-1])).await;
    let (last, completed) = endings.split_last().expect("some jobs");
    let mut calls = 0.0;
    for (n, ending) in completed.iter().enumerate() {
        let output: Value = ending.output().expect("JSON").expect("it completed");
        assert_eq!(output["n"], n);
        let size = output["size"].as_f64().expect("a number");
        assert!(size <= 10.0, "{size} jobs in one call");
        calls += 1.0 / size;
    }
    assert!(calls < 15.0, "60 jobs took {calls:.0} calls");
    assert_eq!(*last, Ending::Dead { category: Some("validation".into()), error: Some("below zero".into()) });
}

#[tokio::test]
async fn a_panic_of_one_call_is_a_failure_of_its_jobs_and_of_no_others() {
    let db = Database::new().await;
    let endings = run(&db, (0..30).chain([1000])).await;
    let dead: Vec<_> = endings.iter().filter(|ending| matches!(ending, Ending::Dead { .. })).collect();
    assert!((1..=10).contains(&dead.len()), "{} jobs died with it", dead.len());
    for ending in dead {
        let Ending::Dead { category, error: Some(error) } = ending else { panic!("{ending:?}") };
        assert!(category.as_deref() == Some("bug") && error.starts_with("the handler panicked: one too many\nat "), "{error}");
    }
}
