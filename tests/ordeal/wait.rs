//! Waiting for a condition, never for a time.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use engine::StoreError;

const LOOK: Duration = Duration::from_millis(100);
const AGAIN: Duration = Duration::from_millis(50);
/// Between two looks at a process, which cost little.
const SOON: Duration = Duration::from_millis(10);

/// Looks until it is so, or for as long as `limit`; returns whether it is.
pub async fn until(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !is_so() {
        if begun.elapsed() > limit {
            return false;
        }
        tokio::time::sleep(SOON).await;
    }
    true
}

/// Asks until it is so, or for as long as `limit`; returns whether it is.
///
/// # Errors
/// What asking fails with.
pub async fn until_so<E, F>(limit: Duration, mut ask: impl FnMut() -> F) -> Result<bool, E>
where
    F: Future<Output = Result<bool, E>>,
{
    let not_yet = || {
        let asked = ask();
        async { asked.await.map(|is_so| if is_so { Vec::new() } else { vec![()] }) }
    };
    Ok(until_none_is_left(limit, not_yet).await?.is_empty())
}

/// Looks until nothing is left, or for as long as `limit`; returns what is left then.
///
/// # Errors
/// What looking fails with.
pub async fn until_none_is_left<T, E, F>(limit: Duration, mut look: impl FnMut() -> F) -> Result<Vec<T>, E>
where
    F: Future<Output = Result<Vec<T>, E>>,
{
    let begun = Instant::now();
    loop {
        let left = look().await?;
        if left.is_empty() || begun.elapsed() > limit {
            return Ok(left);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Asks until it is accepted, each time for as long as `patience`; returns the answer, and how often it had to be asked again. No
/// answer is one more that nobody knows.
pub async fn until_accepted<T, E, F>(patience: Duration, mut ask: impl FnMut() -> F) -> (T, u32)
where
    F: Future<Output = Result<T, E>>,
{
    let mut asked_again = 0;
    loop {
        if let Ok(Ok(answer)) = tokio::time::timeout(patience, ask()).await {
            return (answer, asked_again);
        }
        asked_again += 1;
        tokio::time::sleep(AGAIN).await;
    }
}

/// Asks until the database answers.
///
/// # Errors
/// What it refuses.
pub async fn until_answered<T, F>(mut ask: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match ask().await {
            Err(StoreError::Database(_)) => tokio::time::sleep(AGAIN).await,
            answer => return answer,
        }
    }
}

/// Whether the database says that the data is wrong: asking again does not help.
pub fn about_data(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
    code.is_some_and(|code| matches!(code.get(..2), Some("22" | "23" | "42" | "RW")))
}
