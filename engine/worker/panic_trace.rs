//! Where a handler panicked: the message alone is rarely enough for whoever reads the dead letter.

use std::{any::Any, backtrace::Backtrace, cell::RefCell, future::Future, panic::AssertUnwindSafe, sync::Once};

use futures_util::FutureExt;

/// The most lines of the trace that are kept.
const LINES: usize = 60;

tokio::task_local! {
    static TRACE: RefCell<Option<String>>;
}

/// Makes panics of handlers leave a trace. What the process does at a panic besides stays as it is.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let trace = || {
                let place = panic.location().map(ToString::to_string).unwrap_or_default();
                format!("at {place}\n{}", own_frames(&Backtrace::force_capture().to_string()))
            };
            // Outside of a handler there is nowhere to keep it.
            let _ = TRACE.try_with(|kept| *kept.borrow_mut() = Some(trace()));
            before(panic);
        }));
    });
}

/// Runs a handler's future; a panic becomes an error that says what and where.
pub(crate) async fn catch<T>(handler: impl Future<Output = T>) -> Result<T, String> {
    TRACE
        .scope(RefCell::new(None), async {
            AssertUnwindSafe(handler).catch_unwind().await.map_err(|panic| {
                let trace = TRACE.with(RefCell::take).map(|trace| format!("\n{trace}")).unwrap_or_default();
                format!("{}{trace}", text(&*panic))
            })
        })
        .await
}

/// What a panic said.
pub(crate) fn text(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// The frames between the panic's own machinery and the worker's: what is left names the handler.
fn own_frames(trace: &str) -> String {
    let frames = trace.lines().skip_while(|line| !line.contains("core::panicking")).skip(2);
    let frames: Vec<&str> = frames.take_while(|line| !line.contains("engine::kinds::")).take(LINES).collect();
    if frames.is_empty() { trace.lines().take(LINES).collect::<Vec<_>>().join("\n") } else { frames.join("\n") }
}
