//! A partition in which more jobs died than may be moved with all locked.

use engine::store::partition;

use super::hand::{Hand, count, done, ended, enqueue};
use crate::support::{Database, clock};

#[tokio::test]
async fn what_completed_beside_a_hundred_thousand_deaths_goes_by_itself() {
    let db = Database::new().await;
    let pool = db.pool();
    clock::own(pool).await;
    let mut hand = Hand::new(pool).await;
    enqueue(pool, 1).await;
    let job = hand.take(1).await.remove(0);
    hand.complete(&[ended(&job, done())]).await;
    let die = "with new as (
            insert into engine.job (id, lane_id, args) select nextval('engine.position'), l.id, '{}' from engine.lane l, generate_series(1, 100001)
            returning id)
        insert into engine.attempt (job_id, attempt, started_at, finished_at, outcome, category)
        select id, 1, engine.now(), engine.now(), 'dead', 'bug' from new";
    sqlx::query(die).execute(pool).await.expect("jobs that died");
    sqlx::query("select setval('engine.position', 10000001)").execute(pool).await.expect("the first partition is full");
    clock::step(pool, 8.0 * 86_400.0).await;
    let dropped = partition::drop_expired(&mut pool.acquire().await.expect("a connection")).await.expect("asked");
    assert_eq!(dropped, None, "the dead are kept for longer, and too many to be moved");
    assert_eq!(count(pool, "select count(*) from engine.attempt").await, 100_001, "what completed is past its time");
}
