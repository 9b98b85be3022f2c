//! Why an attempt failed: a category that the retry policy knows, and words for a person.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::sqlstate;

/// The error categories of the retry policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Category {
    /// The connection failed before an answer.
    Network,
    /// No answer within the deadline.
    Timeout,
    /// The other side asked to slow down.
    RateLimited,
    /// The other side failed.
    Upstream,
    /// Credentials were refused.
    Auth,
    /// The input is wrong and stays wrong.
    Validation,
    /// Something it needs has not arrived yet.
    NotReady,
    /// A lost race in the database.
    Conflict,
    /// A rule of the business forbids it.
    BusinessRule,
    /// The worker died with it, three times, alone.
    Poison,
    /// The handler panicked.
    Bug,
    /// No other category fits.
    Unknown,
    /// One of the application's own, by its name. What follows is the row of that name in `retry_config`, else the row
    /// `default`: make the row in a migration. Count what you make: names are few and come from the program.
    ///
    /// ```
    /// use engine::{Category, Failure};
    ///
    /// const OVEN_BUSY: Category = Category::Other("oven_busy");
    ///
    /// let failure = Failure::new(OVEN_BUSY, "the oven is busy until noon");
    /// assert_eq!(failure.to_string(), "oven_busy: the oven is busy until noon");
    /// assert_eq!(Category::of("oven_busy"), OVEN_BUSY);
    /// ```
    Other(&'static str),
}

impl Category {
    /// The category of this name; [`Category::Other`] when the engine has none.
    ///
    /// A name that is new to this process is kept for as long as it runs, so names never come from outside. After 256 of
    /// them it is [`Category::Unknown`].
    pub fn of(name: &str) -> Self {
        static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        if let Some(known) = Self::ALL.into_iter().find(|known| known.as_str() == name) {
            return known;
        }
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        match names.get(name) {
            Some(known) => Self::Other(known),
            None if names.len() >= 256 => Self::Unknown,
            None => {
                let kept: &'static str = name.to_string().leak();
                names.insert(kept);
                Self::Other(kept)
            }
        }
    }

    /// Every category of the engine's own.
    pub const ALL: [Self; 12] = [
        Self::Network,
        Self::Timeout,
        Self::RateLimited,
        Self::Upstream,
        Self::Auth,
        Self::Validation,
        Self::NotReady,
        Self::Conflict,
        Self::BusinessRule,
        Self::Poison,
        Self::Bug,
        Self::Unknown,
    ];

    /// The category as `retry_config` spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
            Self::Upstream => "upstream",
            Self::Auth => "auth",
            Self::Validation => "validation",
            Self::NotReady => "not_ready",
            Self::Conflict => "conflict",
            Self::BusinessRule => "business_rule",
            Self::Poison => "poison",
            Self::Bug => "bug",
            Self::Unknown => "unknown",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an attempt failed. The table `retry_config`, not the code, decides what follows.
///
/// A program says once which error is of which category, and its handlers write `?`.
///
/// ```
/// use std::time::Duration;
/// use engine::{Category, Failure};
///
/// /// What the shop answered instead of what it was asked for.
/// struct Refused {
///     status: u16,
///     retry_after: Option<Duration>,
/// }
///
/// impl From<Refused> for Failure {
///     fn from(refused: Refused) -> Self {
///         let said = format!("the shop answered {}", refused.status);
///         match refused.status {
///             401 | 403 => Self::auth(said),
///             429 => Self::rate_limited(said).retry_after(refused.retry_after.unwrap_or_default()),
///             500.. => Self::upstream(said),
///             _ => Self::validation(said),
///         }
///     }
/// }
///
/// let failure = Failure::from(Refused { status: 429, retry_after: Some(Duration::from_secs(30)) });
/// assert_eq!(failure.category, Category::RateLimited);
/// assert_eq!(failure.retry_after, Some(Duration::from_secs(30)));
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[error("{category}: {message}")]
pub struct Failure {
    /// Selects the row of the retry policy.
    pub category: Category,
    /// One sentence for the operator.
    pub message: String,
    /// Not before this time, as the other side asked; [`ASKED_AT_MOST`](crate::retry::ASKED_AT_MOST) is believed.
    pub retry_after: Option<Duration>,
    /// Whether it is the engine's own database that failed, which says nothing of any outside system.
    pub(crate) of_database: bool,
    /// Whether a migration has outdated a statement of the connection that was used.
    pub(crate) of_outdated_plan: bool,
}

macro_rules! of_category {
    ($($name:ident => $category:ident),* $(,)?) => {
        $(
            #[doc = concat!("A failure of category `", stringify!($name), "`.")]
            pub fn $name(message: impl Into<String>) -> Self {
                Self::new(Category::$category, message)
            }
        )*
    };
}

impl Failure {
    /// A failure of any category.
    pub fn new(category: Category, message: impl Into<String>) -> Self {
        Self { category, message: message.into(), retry_after: None, of_database: false, of_outdated_plan: false }
    }

    of_category! {
        network => Network, timeout => Timeout, rate_limited => RateLimited, upstream => Upstream, auth => Auth,
        validation => Validation, not_ready => NotReady, conflict => Conflict, business_rule => BusinessRule,
        bug => Bug, unknown => Unknown,
    }

    /// Not before this time: what the other side's `Retry-After` said, whatever the policy's own delay is. A day of it is believed, and
    /// jobs that were told the same come back up to a tenth of it later, 30 s at most, so that they come apart.
    #[must_use]
    pub const fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The attempt is no longer this worker's: it was rescued, cancelled or ended elsewhere.
    pub(crate) fn lease_lost() -> Self {
        Self::conflict("the attempt is no longer this worker's, so nothing was written")
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let of_outdated_plan = error.as_database_error().is_some_and(is_outdated_plan);
        let category = match &error {
            _ if of_outdated_plan => Category::Conflict,
            sqlx::Error::Database(database) => sqlstate::category(database.code().as_deref().unwrap_or("")),
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Category::Network,
            sqlx::Error::PoolTimedOut => Category::Timeout,
            sqlx::Error::RowNotFound => Category::NotReady,
            _ => Category::Unknown,
        };
        let message = error.as_database_error().map_or_else(|| error.to_string(), |database| database.message().to_string());
        Self { of_database: true, of_outdated_plan, ..Self::new(category, message) }
    }
}

/// A migration has outdated the plan of a statement that this connection had prepared: another connection plans anew.
fn is_outdated_plan(database: &dyn sqlx::error::DatabaseError) -> bool {
    let routine = database.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().and_then(sqlx::postgres::PgDatabaseError::routine);
    routine == Some("RevalidateCachedQuery")
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::validation(error.to_string())
    }
}

impl From<crate::StoreError> for Failure {
    fn from(error: crate::StoreError) -> Self {
        match error {
            crate::StoreError::Database(error) => error.into(),
            full @ crate::StoreError::QueueFull(_) => Self::not_ready(full.to_string()),
            other => Self::validation(other.to_string()),
        }
    }
}
