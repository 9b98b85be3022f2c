//! The job: what it forgets and what it keeps.

use engine::{Client, NewJob};
use jobs::health::PruneEnqueueKeys;

use crate::support::{Database, run_all};

#[tokio::test]
async fn keys_past_their_time_are_forgotten_in_batches_and_the_others_kept() {
    let db = Database::new().await;
    sqlx::query(
        "insert into engine.enqueue_key (producer, key, job_id, args_hash, created_at)
         select 'shop', n::text, n, '\\x00', engine.now() - case when n <= 12000 then interval '7 days 1 minute' else interval '6 days 23 hours' end
         from generate_series(1, 12003) n",
    )
    .execute(db.pool())
    .await
    .expect("keys can be made");
    let job = NewJob::of(&PruneEnqueueKeys {}).expect("the arguments are JSON");
    let id = Client::new(db.pool().clone()).enqueue(&job).await.expect("the queue takes the job").id;
    run_all(&db, jobs::kinds()).await;
    // The worker's house forgets them too, so the job need not find all.
    let (state, left): (String, i64) =
        sqlx::query_as("select state, (select count(*) from engine.enqueue_key) from engine.job_state where id = $1")
            .bind(id)
            .fetch_one(db.pool())
            .await
            .expect("the job can be read");
    assert_eq!((state.as_str(), left), ("completed", 3));
}
