//! Where Customer.io is, and the keys to it.

use std::time::Duration;

use engine::Rate;

use super::{
    super::{
        Secret,
        http::{Target, TargetError},
    },
    SYSTEM,
};

/// The most jobs and the longest period of a rate of the engine.
const MOST_JOBS: u32 = 1_000_000;
const LONGEST_PERIOD: Duration = Duration::from_hours(365 * 24);

/// Where the account's data lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Region {
    /// The United States.
    #[default]
    Us,
    /// The European Union.
    Eu,
}

/// Settings of the clients.
#[derive(Clone, Default)]
pub struct Settings {
    /// The account's region.
    pub region: Region,
    /// The App API in place of the region's, such as a sandbox's.
    pub app_url: Option<String>,
    /// The Track API in place of the region's.
    pub track_url: Option<String>,
    /// The key of the App API.
    pub app_key: Option<Secret>,
    /// The site id of the Track API.
    pub site_id: Option<Secret>,
    /// The key of the Track API.
    pub track_key: Option<Secret>,
    /// Where a sandbox may redirect to, beside the vendor's own hosts.
    pub origins: Vec<String>,
    /// Mails a second that the whole fleet sends; what the account takes, 100, unless set.
    pub mails_per_second: Option<f64>,
    /// How long a call may take, where not as long as calls usually may.
    pub timeout: Option<Duration>,
}

impl Settings {
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> Self {
        let region = match lookup("CUSTOMERIO_REGION").as_deref() {
            None | Some("us") => Region::Us,
            Some("eu") => Region::Eu,
            Some(other) => {
                problems.push(format!("CUSTOMERIO_REGION is {other:?}; expected us or eu"));
                Region::Us
            }
        };
        let mails_per_second = lookup("CUSTOMERIO_MAILS_PER_SECOND").and_then(|text| {
            let rate = text.parse().ok().filter(|rate: &f64| *rate > 0.0 && rate.is_finite());
            if rate.is_none() {
                problems.push(format!("CUSTOMERIO_MAILS_PER_SECOND is {text:?}; expected a number above 0, such as 100"));
            }
            rate
        });
        let mut secret = |name: &str| {
            let secret = lookup(name).map(Secret::new)?;
            problems.extend(secret.problem(name));
            Some(secret)
        };
        Self {
            region,
            app_key: secret("CUSTOMERIO_APP_KEY"),
            site_id: secret("CUSTOMERIO_SITE_ID"),
            track_key: secret("CUSTOMERIO_TRACK_KEY"),
            app_url: lookup("CUSTOMERIO_APP_URL"),
            track_url: lookup("CUSTOMERIO_TRACK_URL"),
            origins: Vec::new(),
            mails_per_second,
            timeout: None,
        }
    }

    /// The two APIs: of an account in the other region than was said, the answer is a redirect to a host of the same
    /// family, which is followed.
    pub(crate) fn targets(&self) -> Result<(Target, Target), TargetError> {
        let (app, track) = match self.region {
            Region::Us => ("https://api.customer.io/v1", "https://track.customer.io"),
            Region::Eu => ("https://api-eu.customer.io/v1", "https://track-eu.customer.io"),
        };
        let target = |url: &str| {
            let target = Target::new(SYSTEM, url)?.family("customer.io");
            Ok(self.origins.iter().fold(target, Target::origin))
        };
        Ok((target(self.app_url.as_deref().unwrap_or(app))?, target(self.track_url.as_deref().unwrap_or(track))?))
    }

    /// As the engine has it, over the whole fleet: in any span of its period no more are let go, whichever workers live.
    pub fn mail_rate(&self) -> Rate {
        let per_second = self.mails_per_second.unwrap_or(super::MAILS_PER_SECOND);
        if per_second >= 1.0 {
            return Rate::new(per_second.min(f64::from(MOST_JOBS)) as u32, Duration::from_secs(1));
        }
        let period = Duration::try_from_secs_f64(1.0 / per_second).unwrap_or(LONGEST_PERIOD);
        Rate::new(1, period.min(LONGEST_PERIOD))
    }

    /// What no error may show.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        [&self.app_key, &self.site_id, &self.track_key].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rate_that_can_be_set_is_one_of_the_engine() {
        let rate = |mails_per_second| Settings { mails_per_second, ..Settings::default() }.mail_rate();
        let second = Duration::from_secs(1);
        assert_eq!(rate(None), Rate::new(100, second));
        assert_eq!(rate(Some(2.9)), Rate::new(2, second), "never more than was said");
        assert_eq!(rate(Some(f64::MAX)), Rate::new(1_000_000, second));
        assert_eq!(rate(Some(0.5)), Rate::new(1, 2 * second));
        assert_eq!(rate(Some(f64::MIN_POSITIVE)), Rate::new(1, Duration::from_hours(365 * 24)));
    }
}
