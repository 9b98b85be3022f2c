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

use std::sync::Arc;

use engine::{Category, Run};

use super::{
    OutsideError, Secret,
    http::{Call, CallError, Client, Method, Pace, Reached},
};

/// Its name, in messages.
const SYSTEM: &str = "Customer.io";
/// The App API, as its breaker is called.
pub const APP: &str = "customerio.app";
/// The Track API, as its breaker is called.
pub const TRACK: &str = "customerio.track";

/// Mails a second that an account takes, by their documents.
const MAILS_PER_SECOND: f64 = 100.0;

/// Calls Customer.io; a clone shares its connections.
#[derive(Clone)]
pub struct CustomerIo {
    app: Client,
    track: Client,
    mails: Arc<Pace>,
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
        Ok(Self {
            app: Client::new(app, secrets())?,
            track: Client::new(track, secrets())?,
            mails: Arc::new(Pace::per_second(settings.mails_per_second.unwrap_or(MAILS_PER_SECOND))),
            settings: settings.clone(),
        })
    }

    /// A call for this attempt, within the time that the settings allow.
    fn call<'a>(&self, method: Method, segments: impl IntoIterator<Item = &'a str>, run: &Run) -> Call {
        let call = Call::new(method, segments).on_behalf_of(run);
        match self.settings.timeout {
            Some(timeout) => call.timeout(timeout),
            None => call,
        }
    }

    /// The key of a setting; a call that lacks it is not made.
    fn key<'a>(&self, key: Option<&'a Secret>, setting: &str) -> Result<&'a str, CallError> {
        let missing = || self.app.error(Reached::Nothing, Category::Auth, format!("{setting} is not set, so nothing was sent"));
        key.map(Secret::text).ok_or_else(missing)
    }
}
