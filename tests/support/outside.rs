//! The outside systems of a test, each a sandbox of its own.

use std::time::Duration;

use engine::Kinds;
use jobs::clients::{self, Secret, customerio, packer, seal, shopify, slack};
use sandbox::customerio::CustomerIo;
use sandbox::packer::{Packer, SftpDrop};
use sandbox::seal::Seal;
use sandbox::shopify::{Admin, AdminOptions};
use sandbox::slack::Slack;
use tokio_util::sync::{CancellationToken, DropGuard};

pub const APP_KEY: &str = "app-key";
pub const SITE_ID: &str = "site-id";
pub const TRACK_KEY: &str = "track-key";
const ADMIN_TOKEN: &str = "shpat_test";
pub const DROP_TOKEN: &str = "drop-token";
const SEAL_TOKEN: &str = "seal-token";

/// Sandboxes that run until this is dropped.
pub struct Outside {
    pub customerio: CustomerIo,
    pub packer: Packer,
    pub slack: Slack,
    pub shopify: Admin,
    pub seal: Seal,
    stop: DropGuard,
}

/// An account of Customer.io that takes whatever comes.
pub fn account() -> sandbox::customerio::Options {
    sandbox::customerio::Options { mails_per_second: 100_000.0, ..sandbox::customerio::Options::new(APP_KEY, SITE_ID, TRACK_KEY) }
}

/// A workspace of Slack that takes whatever comes.
pub fn workspace() -> sandbox::slack::Options {
    let channels = slack::Channel::ALL.map(slack::Channel::as_str);
    sandbox::slack::Options { per_second: 100_000.0, burst: 100_000.0, ..sandbox::slack::Options::new(channels) }
}

impl Outside {
    /// Systems that take whatever comes.
    pub async fn start() -> Self {
        Self::of(account(), workspace()).await
    }

    pub async fn of(account: sandbox::customerio::Options, workspace: sandbox::slack::Options) -> Self {
        // Whoever comes first; the others find it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let stop = CancellationToken::new();
        let customerio = CustomerIo::start(account, stop.clone()).await.expect("a sandbox");
        let packer = sandbox::packer::Options { per_second: 100_000.0, ..sandbox::packer::Options::new(DROP_TOKEN) };
        let packer = Packer::start(packer, stop.clone()).await.expect("a sandbox");
        let slack = Slack::start(workspace, stop.clone()).await.expect("a sandbox");
        let shopify = Admin::start(AdminOptions { restore_rate: 100_000.0, ..AdminOptions::new(ADMIN_TOKEN) }, stop.clone())
            .await
            .expect("a sandbox");
        let account = sandbox::seal::Options { per_second: 100_000.0, ..sandbox::seal::Options::new(SEAL_TOKEN) };
        let seal = Seal::start(account, stop.clone()).await.expect("a sandbox");
        Self { customerio, packer, slack, shopify, seal, stop: stop.drop_guard() }
    }

    /// Ends whatever hangs there.
    pub fn stop(self) {
        drop(self.stop);
    }

    /// Where they are.
    pub fn settings(&self) -> clients::Settings {
        settings(self.customerio.url(), &self.webhooks(), &self.others())
    }

    /// Where Slack takes messages, a channel each.
    pub fn webhooks(&self) -> Vec<String> {
        slack::Channel::ALL.iter().map(|channel| self.slack.webhook(channel.as_str())).collect()
    }

    /// Where Shopify, Seal and the packer are.
    pub fn others(&self) -> [String; 3] {
        [self.shopify.url().into(), self.seal.url(), self.packer.url().into()]
    }

    /// As [`settings`](Self::settings), with the packer's drop over SFTP.
    pub fn over_sftp(&self, drop: &SftpDrop) -> clients::Settings {
        let packer = packer::Settings {
            url: Some(drop.url()),
            key: Some(Secret::new(drop.key())),
            host_key: Some(drop.host_key()),
            token: None,
            timeout: Some(Duration::from_secs(1)),
        };
        clients::Settings { packer, ..self.settings() }
    }

    /// Every kind of the product, with these systems outside.
    pub fn kinds(&self) -> Kinds {
        with(&self.settings())
    }
}

/// A Customer.io, a Slack, a Shopify, a Seal and a packer at these addresses, and no limit of their rates.
pub fn settings(customerio: &str, webhooks: &[String], [shopify, seal, packer]: &[String; 3]) -> clients::Settings {
    clients::Settings {
        customerio: customerio::Settings {
            app_url: Some(format!("{customerio}/v1")),
            track_url: Some(customerio.into()),
            app_key: Some(Secret::new(APP_KEY)),
            site_id: Some(Secret::new(SITE_ID)),
            track_key: Some(Secret::new(TRACK_KEY)),
            mails_per_second: Some(100_000.0),
            timeout: Some(Duration::from_secs(1)),
            ..customerio::Settings::default()
        },
        slack: slack::Settings {
            webhooks: std::array::from_fn(|place| webhooks.get(place).map(|url| Secret::new(url.as_str()))),
            per_second: Some(100_000.0),
        },
        shopify: shopify::Settings {
            shop: Some("raw.myshopify.com".into()),
            token: Some(Secret::new(ADMIN_TOKEN)),
            url: Some(shopify.clone()),
            rest_per_second: Some(100_000.0),
            ..shopify::Settings::default()
        },
        seal: seal::Settings { token: Some(Secret::new(SEAL_TOKEN)), url: Some(seal.clone()), per_second: Some(100_000.0) },
        packer: packer::Settings {
            url: Some(packer.clone()),
            token: Some(Secret::new(DROP_TOKEN)),
            timeout: Some(Duration::from_secs(1)),
            ..packer::Settings::default()
        },
        ..clients::Settings::default()
    }
}

/// Every kind of the product, with the systems of these settings outside.
pub fn with(settings: &clients::Settings) -> Kinds {
    jobs::calling(settings).expect("the settings are right")
}

/// Every kind of the product, with nothing outside but the account of Customer.io at this address.
pub fn mailing(url: &str, mails_per_second: f64) -> Kinds {
    let mut settings = clients::Settings::default();
    settings.customerio.app_url = Some(format!("{url}/v1"));
    settings.customerio.app_key = Some(Secret::new(APP_KEY));
    settings.customerio.mails_per_second = Some(mails_per_second);
    with(&settings)
}
