//! Migrations of the engine that come to a database which the registry's are in already.

use crate::{engine::alone::migrate, support::Database, support::ledger::count};

/// Numbers that were given out after higher ones had been applied.
const LATE: [u32; 3] = [7, 8, 78];
/// What came later builds on them.
const AFTER: u32 = 262;

#[tokio::test]
async fn the_retry_policy_is_kept_whether_its_migrations_come_early_or_late() {
    let early = Database::new().await;
    let late = Database::empty().await;
    migrate(late.pool(), |number, _| number < AFTER && !LATE.contains(&number)).await;
    migrate(late.pool(), |number, _| LATE.contains(&number)).await;
    migrate(late.pool(), |number, _| number >= AFTER).await;
    for db in [early, late] {
        let triggers =
            "select count(*) from pg_trigger where tgrelid in ('raw_ops.retry_config'::regclass, 'engine.retry_override'::regclass)
                        and tgname in ('check_retry_policy', 'keep_retry_default', 'keep_retry_policy', 'note_retry_policy')";
        assert_eq!(count(db.pool(), triggers).await, 8);
        let found = "select count(*) from engine.retry_policy_history h join engine.retry_config c
                     on c.error_category = h.category and c.version = h.version where h.kind is null and h.what = 'found'";
        assert_eq!(count(db.pool(), found).await, 13);
        assert_eq!(count(db.pool(), "select count(*) from engine.retry_policy_history").await, 13);
    }
}
