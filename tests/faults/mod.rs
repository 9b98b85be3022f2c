//! Real worker processes killed, stopped and continued; a real server killed and stopped; answers lost on the way.
//!
//! Every test ends with the oracle of `support/ledger.rs`: nothing lost, nothing ended twice, no gap, no claim left.

mod crash_matrix;
mod hoarding;
mod hostile_rows;
mod isolated;
mod killed_scheduler;
mod killed_senders;
mod killed_worker;
mod killed_workflows;
mod limits;
mod lost_reply;
mod outage;
mod poison;
#[cfg(has_pgbouncer)]
mod pooler;
mod server_crash;
mod shutdown;
mod stalled_runtime;
mod standby;
mod stopped_worker;
mod workflow_zombies;
mod wrong_clock;
