//! A statement of the engine that fails once, in this process, for the one who asks for it.

use std::{cell::Cell, sync::Once};

use engine::failpoint::{self, Act, Side};

tokio::task_local! {
    static BREAKS: Cell<Option<&'static str>>;
}

/// Does something while the first use of a statement fails as if the connection had broken before it was sent. Others, in the
/// same process and at the same time, notice nothing.
pub async fn once<T>(statement: &'static str, doing: impl Future<Output = T>) -> T {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| assert!(failpoint::install(act), "a process has one hook"));
    BREAKS.scope(Cell::new(Some(statement)), doing).await
}

fn act(statement: &'static str, side: Side) -> Act {
    let breaks = |broken: &Cell<Option<&str>>| side == Side::Before && broken.get() == Some(statement) && broken.take().is_some();
    if BREAKS.try_with(breaks).unwrap_or(false) { Act::Fail } else { Act::Go }
}
