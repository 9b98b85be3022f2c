//! The outside systems of `up`: where no keys are set, a sandbox on this machine stands in.

use std::{net::SocketAddr, time::Duration, time::Instant};

use anyhow::Context;
use jobs::clients::{self, Secret, slack::Channel};
use sandbox::{
    customerio::{self, CustomerIo, Reporting},
    forecast::{self, Forecast},
    packer::{self, Packer, SftpDrop},
    seal::{self, Seal},
    shopify::{Admin, AdminOptions},
    slack::{self, Slack},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    settings::{SHOP, Settings, fresh_secret},
    steps::step,
};

/// How soon the sandbox's Customer.io reports again what was not taken.
const REPORT_AGAIN: Duration = Duration::from_secs(5);

/// The sandboxes that run, until this is dropped.
pub struct Outside {
    /// The API of the sandbox shop; none where another one is called.
    pub admin: Option<Admin>,
    _stop: DropGuard,
}

impl Outside {
    /// Starts what has no keys, and lets the settings lead there. Reports of mails go to the web at `address`; files for the packer go
    /// over SFTP or over HTTP.
    pub async fn open(settings: &mut Settings, address: SocketAddr, over_sftp: bool) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let clients = &mut settings.worker.clients;
        if clients.customerio.app_key.is_none() && clients.customerio.app_url.is_none() {
            let signing_key = customerio(clients, address, &stop).await?;
            settings.web.customerio.current = Some(Secret::new(signing_key));
        }
        let clients = &mut settings.worker.clients;
        match clients.packer.url {
            Some(_) => (),
            None if over_sftp => sftp_packer(clients, &stop).await?,
            None => packer(clients, &stop).await?,
        }
        if clients.slack.webhooks.iter().all(Option::is_none) {
            slack(clients, &stop).await?;
        }
        if clients.forecast.key.is_none() && clients.forecast.url.is_none() {
            forecast(clients, &stop).await?;
        }
        if clients.seal.token.is_none() && clients.seal.url.is_none() {
            seal(clients, &stop).await?;
        }
        let is_shop_of_sandbox = clients.shopify.token.is_none() && clients.shopify.url.is_none();
        let admin = if is_shop_of_sandbox { Some(shop(clients, &stop).await?) } else { None };
        Ok(Self { admin, _stop: stop.drop_guard() })
    }
}

/// Returns the key that signs the reports.
async fn customerio(clients: &mut clients::Settings, address: SocketAddr, stop: &CancellationToken) -> anyhow::Result<String> {
    let begun = Instant::now();
    let [app_key, site_id, track_key, signing_key] = std::array::from_fn(|_| fresh_secret());
    let url = format!("http://{address}{}", ::web::webhooks::customerio::PATH);
    let reporting = Reporting { url, signing_key: signing_key.clone(), include_headers: true, twice: false, retry_after: REPORT_AGAIN };
    let account = customerio::Options { reporting: Some(reporting), ..customerio::Options::new(&app_key, &site_id, &track_key) };
    let sandbox = CustomerIo::start(account, stop.clone()).await.context("the sandbox's Customer.io cannot listen")?;
    clients.customerio.app_url = Some(format!("{}/v1", sandbox.url()));
    clients.customerio.track_url = Some(sandbox.url().into());
    clients.customerio.app_key = Some(Secret::new(app_key));
    clients.customerio.site_id = Some(Secret::new(site_id));
    clients.customerio.track_key = Some(Secret::new(track_key));
    step(&format!("sandbox: Customer.io at {}", sandbox.url()), begun.elapsed());
    Ok(signing_key)
}

async fn packer(clients: &mut clients::Settings, stop: &CancellationToken) -> anyhow::Result<()> {
    let (begun, token) = (Instant::now(), fresh_secret());
    let options = packer::Options { sends_at_once: true, ..packer::Options::new(&token) };
    let sandbox = Packer::start(options, stop.clone()).await.context("the sandbox's packer cannot listen")?;
    clients.packer.url = Some(sandbox.url().into());
    clients.packer.token = Some(Secret::new(token));
    step(&format!("sandbox: the packer's drop at {}", sandbox.url()), begun.elapsed());
    Ok(())
}

async fn sftp_packer(clients: &mut clients::Settings, stop: &CancellationToken) -> anyhow::Result<()> {
    let begun = Instant::now();
    let sandbox = SftpDrop::start(&fresh_secret(), stop.clone()).await.context("the sandbox's packer cannot listen")?;
    sandbox.send_at_once();
    clients.packer.url = Some(sandbox.url());
    clients.packer.key = Some(Secret::new(sandbox.key()));
    clients.packer.host_key = Some(sandbox.host_key());
    step(&format!("sandbox: the packer's drop at {}", sandbox.url()), begun.elapsed());
    Ok(())
}

async fn slack(clients: &mut clients::Settings, stop: &CancellationToken) -> anyhow::Result<()> {
    let begun = Instant::now();
    let workspace = slack::Options::new(Channel::ALL.map(Channel::as_str));
    let sandbox = Slack::start(workspace, stop.clone()).await.context("the sandbox's Slack cannot listen")?;
    clients.slack.webhooks = Channel::ALL.map(|channel| Some(Secret::new(sandbox.webhook(channel.as_str()))));
    step("sandbox: Slack, one webhook a channel", begun.elapsed());
    Ok(())
}

async fn forecast(clients: &mut clients::Settings, stop: &CancellationToken) -> anyhow::Result<()> {
    let begun = Instant::now();
    let sandbox = Forecast::start(forecast::Options::new(None), stop.clone()).await.context("the sandbox's forecast cannot listen")?;
    clients.forecast.url = Some(sandbox.url().into());
    step(&format!("sandbox: weather forecast at {}", sandbox.url()), begun.elapsed());
    Ok(())
}

async fn seal(clients: &mut clients::Settings, stop: &CancellationToken) -> anyhow::Result<()> {
    let (begun, token) = (Instant::now(), fresh_secret());
    let sandbox = Seal::start(seal::Options::new(&token), stop.clone()).await.context("the sandbox's Seal cannot listen")?;
    clients.seal.url = Some(sandbox.url());
    clients.seal.token = Some(Secret::new(token));
    step(&format!("sandbox: Seal at {}", sandbox.url()), begun.elapsed());
    Ok(())
}

async fn shop(clients: &mut clients::Settings, stop: &CancellationToken) -> anyhow::Result<Admin> {
    let (begun, token) = (Instant::now(), fresh_secret());
    let sandbox = Admin::start(AdminOptions::new(&token), stop.clone()).await.context("the sandbox shop's API cannot listen")?;
    clients.shopify.shop = Some(SHOP.into());
    clients.shopify.url = Some(sandbox.url().into());
    clients.shopify.token = Some(Secret::new(token));
    step(&format!("sandbox: the shop's Admin API at {}", sandbox.url()), begun.elapsed());
    Ok(sandbox)
}
