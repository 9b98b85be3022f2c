//! LISTEN: a hint that work has come. Polling is the truth; without this the worker polls more often.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sqlx::postgres::{PgListener, PgPoolOptions};

use super::{complaint, session::Session};

/// Nudges the claimer at each notification until the session is over.
pub(super) async fn run(session: Arc<Session>) {
    if !session.program.config.listen {
        let every_ms = session.program.config.poll_interval_deaf.as_millis();
        tracing::warn!(worker.id = session.worker_id, every_ms, "this worker does not LISTEN: while idle it looks for work instead");
        return;
    }
    while !session.is_over() {
        let listening = async {
            let own = PgPoolOptions::new().max_connections(1).connect_lazy_with((*session.program.pool.connect_options()).clone());
            let mut listener = PgListener::connect_with(&own).await?;
            listener.listen("rawops").await?;
            session.listening.store(true, Ordering::Release);
            loop {
                // `None` says that the connection was lost: what was said meanwhile is lost too, so look.
                listener.try_recv().await?;
                session.nudge.notify_one();
            }
        };
        let outcome: Result<(), sqlx::Error> = tokio::select! {
            outcome = listening => outcome,
            () = session.draining.cancelled() => Ok(()),
            () = session.lost.cancelled() => Ok(()),
        };
        session.listening.store(false, Ordering::Release);
        if let Err(error) = outcome {
            complaint::warn(session.worker_id, "cannot LISTEN, polling more often meanwhile", &error);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}
