//! By which rule a breaker opens, as operators set it.

use sqlx::PgPool;

use crate::store::{StoreError, retry_policy, sql};

/// What an operator sets of a breaker's rule; what is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    /// See [`Breaker::share`](super::Breaker::share).
    pub share: Option<f64>,
    /// See [`Breaker::at_least`](super::Breaker::at_least).
    pub at_least: Option<i32>,
    /// See [`Breaker::window_ms`](super::Breaker::window_ms).
    pub window_ms: Option<i32>,
    /// See [`Breaker::categories`](super::Breaker::categories).
    pub categories: Option<Vec<String>>,
    /// See [`Breaker::cooldown_ms`](super::Breaker::cooldown_ms).
    pub cooldown_ms: Option<i32>,
    /// See [`Breaker::cooldown_most_ms`](super::Breaker::cooldown_most_ms).
    pub cooldown_most_ms: Option<i32>,
}

/// Changes by which rule a breaker opens; in force at once. False: there is no breaker of this system.
///
/// # Errors
/// [`StoreError::Refused`] for nonsense; otherwise the database's.
pub async fn set(pool: &PgPool, system: &str, rule: &Rule, by: &str) -> Result<bool, StoreError> {
    if let Some(categories) = &rule.categories {
        known(pool, categories).await?;
    }
    let setting = sqlx::query(sql!("breaker/set"))
        .bind(system)
        .bind(rule.share)
        .bind(rule.at_least)
        .bind(rule.window_ms)
        .bind(&rule.categories)
        .bind(rule.cooldown_ms)
        .bind(rule.cooldown_most_ms)
        .bind(by)
        .fetch_optional(pool)
        .await;
    setting.map(|row| row.is_some()).map_err(StoreError::of_refusal)
}

/// Refuses a category that no failure has and no row of the retry policy names.
async fn known(pool: &PgPool, categories: &[String]) -> Result<(), StoreError> {
    let mut names = retry_policy::categories(pool).await?;
    // It stands for all others in the policy, and no failure has it.
    names.retain(|name| name != "default");
    match categories.iter().find(|category| !names.contains(category)) {
        Some(unknown) => Err(StoreError::Refused(format!("there is no error category {unknown}: there are {}", names.join(", ")))),
        None => Ok(()),
    }
}
