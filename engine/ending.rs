//! How a job ended, for whoever waits for it.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::StoreError;

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It completed, with this output.
    Completed(Value),
    /// It was cancelled, for this reason where one is known.
    Cancelled(Option<String>),
    /// It failed for good; its dead letter has the rest.
    Dead {
        /// The error category.
        category: Option<String>,
        /// The last error.
        error: Option<String>,
    },
}

impl Ending {
    /// The output of a completed job, decoded; `None` when it ended otherwise.
    ///
    /// ```
    /// use engine::Ending;
    ///
    /// #[derive(Debug, PartialEq, serde::Deserialize)]
    /// struct Visits {
    ///     visits: u32,
    /// }
    ///
    /// let ending = Ending::Completed(serde_json::json!({ "visits": 3 }));
    /// assert_eq!(ending.output::<Visits>()?, Some(Visits { visits: 3 }));
    /// assert_eq!(Ending::Cancelled(None).output::<Visits>()?, None);
    /// # Ok::<(), engine::StoreError>(())
    /// ```
    ///
    /// # Errors
    /// [`StoreError::Output`] when the output is not what the caller expects.
    pub fn output<T: DeserializeOwned>(&self) -> Result<Option<T>, StoreError> {
        match self {
            Self::Completed(output) => serde_json::from_value(output.clone()).map(Some).map_err(StoreError::Output),
            _ => Ok(None),
        }
    }
}
