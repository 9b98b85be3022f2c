//! Customer.io: mails to one person (the App API) and what people did (the Track API).
//!
//! A mail may not be sent twice and their API knows no repetition, so a call of unknown outcome is never made again. An
//! event carries an id of its own, by which they drop repetitions, so it may be.

mod app;
mod settings;
mod track;

pub use app::{Email, MESSAGE_HEADER, Sent};
pub use settings::{Region, Settings};
pub use track::{Event, event_id};

use engine::Category;

use super::{
    OutsideError, Secret,
    http::{CallError, Client, Reached},
};

/// Its name, in messages.
const SYSTEM: &str = "Customer.io";

/// Calls Customer.io; a clone shares its connections.
#[derive(Clone)]
pub struct CustomerIo {
    app: Client,
    track: Client,
    settings: Settings,
}

impl CustomerIo {
    /// A client with these settings.
    ///
    /// # Errors
    /// An address that is none, or TLS that cannot be set up.
    pub fn new(settings: &Settings) -> Result<Self, OutsideError> {
        let (app, track) = settings.targets()?;
        let secrets = || settings.secrets().map(|secret| secret.text().to_owned());
        Ok(Self { app: Client::new(app, secrets())?, track: Client::new(track, secrets())?, settings: settings.clone() })
    }

    /// The key of a setting; a call that lacks it is not made.
    fn key<'a>(&self, key: Option<&'a Secret>, setting: &str) -> Result<&'a str, CallError> {
        let missing = || self.app.error(Reached::Nothing, Category::Auth, format!("{setting} is not set, so nothing was sent"));
        key.map(Secret::text).ok_or_else(missing)
    }
}
