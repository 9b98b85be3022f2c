//! A value that must not be shown.

/// A key or token from the environment.
///
/// It has no `Debug`, `Display` or `Serialize`, so that a log line, an error or a stored argument that tries to carry one
/// does not compile.
#[derive(Clone, Default, PartialEq, Eq)]
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

    /// The text, for the one place that sends it.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What is wrong with it as the value of this setting: a line break, or a space at an end.
    pub fn problem(&self, name: &str) -> Option<String> {
        (self.0.trim() != self.0 || self.0.contains(char::is_control))
            .then(|| format!("{name} begins or ends with a space or line break; remove it"))
    }
}
