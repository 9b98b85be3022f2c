//! A value that must not be shown.

/// A key or token from the environment.
///
/// It has no `Debug`, `Display` or `Serialize`, so that a log line, an error
/// or a stored argument that tries to carry one does not compile.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes the value in.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The bytes, for the one place that computes with them.
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
