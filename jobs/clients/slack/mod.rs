//! Slack: incoming webhooks, one address a channel. The address is the key.

mod blocks;

pub use blocks::{Alert, Field, Severity};

use std::{sync::Arc, time::Duration};

use engine::{Category, Run};
use url::Url;

use super::{
    OutsideError, Secret,
    http::{Call, CallError, Client, Method, Pace, Reached, Target, TargetError},
};

/// Its name, in messages.
const SYSTEM: &str = "Slack";
/// Its name, as its breaker is called.
pub const WEBHOOKS: &str = "slack";
/// Messages a second that a channel takes.
const PER_SECOND: f64 = 1.0;
/// Where webhooks live.
const HOST: &str = "hooks.slack.com";

/// A channel of the house. Which one an alert goes to follows from its severity, never from who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Warnings.
    OpsAlerts,
    /// What cannot wait.
    OpsUrgent,
    /// What is good to know.
    DailyOps,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OpsAlerts, Self::OpsUrgent, Self::DailyOps];

    /// Its name, without the `#`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpsAlerts => "ops-alerts",
            Self::OpsUrgent => "ops-urgent",
            Self::DailyOps => "daily-ops",
        }
    }

    /// The channel of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == name)
    }

    const fn place(self) -> usize {
        match self {
            Self::OpsAlerts => 0,
            Self::OpsUrgent => 1,
            Self::DailyOps => 2,
        }
    }

    const fn setting(self) -> &'static str {
        match self {
            Self::OpsAlerts => "SLACK_WEBHOOK_OPS_ALERTS",
            Self::OpsUrgent => "SLACK_WEBHOOK_OPS_URGENT",
            Self::DailyOps => "SLACK_WEBHOOK_DAILY_OPS",
        }
    }
}

/// The webhook of each channel, in the order of [`Channel::ALL`].
#[derive(Clone, Default)]
pub struct Settings {
    /// The addresses.
    pub webhooks: [Option<Secret>; 3],
    /// Messages a second and channel; what Slack takes, 1, unless set.
    pub per_second: Option<f64>,
}

impl Settings {
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> Self {
        let webhooks = Channel::ALL.map(|channel| {
            let webhook = Secret::new(lookup(channel.setting())?);
            problems.extend(webhook.problem(channel.setting()));
            Some(webhook)
        });
        Self { webhooks, per_second: None }
    }

    /// Where each channel is.
    pub(crate) fn targets(&self) -> Result<[Option<Webhook>; 3], TargetError> {
        let mut targets = [const { None }; 3];
        for channel in Channel::ALL {
            if let Some(webhook) = &self.webhooks[channel.place()] {
                targets[channel.place()] = Some(target(channel, webhook)?);
            }
        }
        Ok(targets)
    }
}

/// A target, and the path that nobody else may know.
type Webhook = (Target, Vec<String>);

fn target(channel: Channel, webhook: &Secret) -> Result<Webhook, TargetError> {
    let wrong = || TargetError::of(format!("{} is no webhook of Slack; expected https://{HOST}/services/…", channel.setting()));
    let url = Url::parse(webhook.text()).map_err(|_| wrong())?;
    let path: Vec<String> = url.path_segments().into_iter().flatten().map(Into::into).collect();
    let target = Target::new(SYSTEM, &url.origin().ascii_serialization())?;
    // A sandbox on this machine speaks plain HTTP.
    if (url.scheme() == "https" && url.host_str() != Some(HOST)) || path.concat().is_empty() {
        return Err(wrong());
    }
    Ok((target, path))
}

/// Posts to Slack; a clone shares its connections.
#[derive(Clone)]
pub struct Slack {
    channels: [Option<(Client, Vec<String>)>; 3],
    paces: Arc<[Pace; 3]>,
}

impl Slack {
    /// A client with these settings.
    ///
    /// # Errors
    /// An address that is none, or TLS that cannot be set up.
    pub fn new(settings: &Settings) -> Result<Self, OutsideError> {
        let mut channels = [const { None }; 3];
        for (place, found) in settings.targets()?.into_iter().enumerate() {
            if let Some((target, path)) = found {
                // Each part of the path lets its bearer post.
                channels[place] = Some((Client::new(target, path.clone())?, path));
            }
        }
        let per_second = settings.per_second.unwrap_or(PER_SECOND);
        Ok(Self { channels, paces: Arc::new(Channel::ALL.map(|_| Pace::per_second(per_second))) })
    }

    /// Waits until it is this process's turn to post to a channel.
    ///
    /// # Errors
    /// How long that would take, when it is too long to wait here.
    pub async fn turn(&self, channel: Channel) -> Result<(), Duration> {
        self.paces[channel.place()].turn().await
    }

    /// Posts an alert. Slack knows no repetition: after an unknown outcome it may stand there twice.
    ///
    /// # Errors
    /// [`CallError`]. What Slack refuses for good is of category `validation`.
    pub async fn post(&self, channel: Channel, alert: &Alert<'_>, run: &Run) -> Result<(), CallError> {
        let missing =
            || CallError::new(SYSTEM, Reached::Nothing, Category::Auth, format!("{} is not set, so nothing was posted", channel.setting()));
        let (client, path) = self.channels[channel.place()].as_ref().ok_or_else(missing)?;
        let call = Call::new(Method::Post, path.iter().map(String::as_str)).on_behalf_of(run).json(&alert.body());
        let call = call.map_err(|error| client.error(Reached::Nothing, Category::Validation, error.to_string()))?;
        let answer = client.send(&call).await.map_err(|error| self.refused(channel, error))?;
        if answer.body.trim_ascii() == b"ok" {
            return Ok(());
        }
        let words = client.clean(&String::from_utf8_lossy(&answer.body));
        Err(client.error(Reached::Unknown, Category::Upstream, format!("answered {} and not ok: {words}", answer.status)))
    }

    /// A webhook that is revoked, a channel that is archived: Slack's refusals do not pass by themselves. A channel that is
    /// full is left alone by all.
    fn refused(&self, channel: Channel, error: CallError) -> CallError {
        if let Some(wait) = error.retry_after {
            self.paces[channel.place()].hold(wait);
        }
        match error.reached {
            Reached::Answered(status @ 400..=499) if !matches!(status, 408 | 429) => CallError { category: Category::Validation, ..error },
            _ => error,
        }
    }
}
