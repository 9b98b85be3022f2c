//! What a program shares with its handlers.

use engine::{Client, Ending, Job, JobResult, Kinds, NewJob, Outcome, Run};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::support::{Database, run_all};

struct Greeting(&'static str);

/// Says what it was given.
#[derive(Serialize, Deserialize)]
struct Greet {}

impl Job for Greet {
    const KIND: &'static str = "test.greet_shared";

    async fn run(&self, run: &mut Run) -> JobResult {
        let Greeting(words) = run.shared()?;
        Ok(Outcome::Done(json!(words)))
    }
}

#[tokio::test]
async fn a_handler_finds_the_last_value_of_each_type_that_its_program_shares() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let id = client.enqueue(&NewJob::of(&Greet {}).expect("it serialises")).await.expect("enqueued").id;
    run_all(&db, Kinds::new().with::<Greet>().sharing(Greeting("hello")).sharing(7).sharing(Greeting("good day"))).await;
    assert_eq!(client.ending(id).await.expect("it is known"), Some(Ending::Completed(json!("good day"))));
}

#[tokio::test]
async fn what_was_not_shared_is_not_ready() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let job = NewJob::of(&Greet {}).expect("it serialises").max_attempts(1);
    let id = client.enqueue(&job).await.expect("enqueued").id;
    run_all(&db, Kinds::new().with::<Greet>()).await;
    let Some(Ending::Dead { category, error }) = client.ending(id).await.expect("it is known") else { panic!("it failed") };
    assert_eq!(category.as_deref(), Some("not_ready"));
    assert!(error.is_some_and(|error| error.contains("without all::engine::shared::Greeting")));
}
