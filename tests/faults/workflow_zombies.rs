//! A worker that was stopped past its lease and goes on: of no act of its workflows anything is kept.

use std::time::Duration;

use engine::{Client, NewJob};

use crate::support::{
    Database, kinds,
    late::{Late, LateWay},
    ledger,
    process::WorkerOptions,
    wait, witness,
};

const SOON: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread")]
async fn no_act_of_a_workflow_counts_after_its_lease_was_lost() {
    let db = Database::new().await;
    let pool = db.pool();
    witness::make_note_table(pool).await;
    kinds::make_effect_table(pool).await;
    let options = WorkerOptions::new(db.url()).concurrency(LateWay::ALL.len()).lease(Duration::from_secs(1));
    let zombie = options.start();
    let worker = ledger::worker_of(pool, zombie.pid()).await;
    let acts = LateWay::ALL.len() as i64;
    let jobs: Vec<NewJob> = LateWay::ALL.iter().map(|way| NewJob::of(&Late { ms: 700, way: *way }).expect("arguments serialise")).collect();
    Client::new(pool.clone()).enqueue_many(&jobs).await.expect("enqueued");
    wait::until("it runs all", SOON, || async { witness::notes_of(pool, worker, "started").await == acts }).await;
    zombie.signal("STOP");
    let others = options.start_many(1);
    ledger::all_ended(pool, SOON).await;
    zombie.signal("CONT");
    wait::until("the zombie has tried to act", SOON, || async { witness::notes_of(pool, worker, "refused").await == acts }).await;
    ledger::worker_of(pool, zombie.pid()).await;
    ledger::all_ended(pool, SOON).await;
    drop(others);

    assert_eq!(witness::notes_of(pool, worker, "wrote").await, 0, "of {acts} acts of the zombie none is kept");
    for (what, expected) in [
        // Beside how each begins, the child whose end is joined late.
        ("select count(*) from engine.step where attempt = 1", acts + 1),
        ("select count(*) from engine.step where attempt = 1 and name = 'begin'", acts),
        // Completing is no step, and neither is progress.
        ("select count(*) from engine.step where attempt > 1 and name = 'late'", acts - 2),
        ("select count(*) from test_effect", 2),
        ("select count(*) from engine.progress where attempt > 1", 1),
        ("select count(*) from engine.progress", 1),
        ("select count(*) from engine.event", 1),
        ("select count(*) from engine.event_wait", 0),
        ("select count(*) from engine.child_end", 2),
        ("select count(*) from engine.compensation", 1),
    ] {
        assert_eq!(ledger::count(pool, what).await, expected, "{what}");
    }
    assert_eq!(ledger::outcome_of(pool, worker, "lost").await, acts);
    ledger::check(pool).await;
}
