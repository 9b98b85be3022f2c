//! Customer.io: takes mails and events, and reports what became of the mails.
//!
//! App API (mails), Track API (people and events) and the reporting webhook, each as their documents have it. A mail that
//! is sent twice arrives twice, as with them; an event with a known id is dropped.

mod api;
mod ledger;
mod reports;

pub use ledger::{Event, Message};
pub use reports::{Reporting, sign};

use std::io;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::front::{Fault, FaultRates, Faults, Front, Limit};
use ledger::Ledger;
use reports::Reporter;

/// The longest name of an event, in bytes.
const EVENT_NAME_LIMIT: usize = 100;

/// How the account behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The same seed gives the same faults.
    pub seed: u64,
    /// The key of the App API.
    pub app_key: String,
    /// The site id of the Track API.
    pub site_id: String,
    /// The key of the Track API.
    pub track_key: String,
    /// Mails a second that are taken; more are refused with 429.
    pub mails_per_second: f64,
    /// Where reports go, if anywhere.
    pub reporting: Option<Reporting>,
    /// What goes wrong by chance.
    pub faults: FaultRates,
    /// The account lives in another region: every call is redirected to this address.
    pub lives_at: Option<String>,
}

impl Options {
    /// An account without faults, which takes what their documents say: 100 mails a second.
    pub fn new(app_key: &str, site_id: &str, track_key: &str) -> Self {
        Self {
            seed: 1,
            app_key: app_key.into(),
            site_id: site_id.into(),
            track_key: track_key.into(),
            mails_per_second: 100.0,
            reporting: None,
            faults: FaultRates::default(),
            lives_at: None,
        }
    }
}

/// The account of a sandbox; a clone is the same one.
#[derive(Clone)]
pub struct CustomerIo {
    account: Arc<Account>,
    url: String,
}

/// All that the account knows.
struct Account {
    options: Options,
    ledger: Ledger,
    faults: Faults,
    limit: Limit,
    reporter: Option<Reporter>,
}

impl CustomerIo {
    /// Opens an account on a free port of this machine, until `shutdown`.
    ///
    /// # Errors
    /// When no port, or no HTTP client, is to be had.
    pub async fn start(options: Options, shutdown: CancellationToken) -> io::Result<Self> {
        let reporter = match &options.reporting {
            Some(reporting) => Some(Reporter::start(reporting.clone(), shutdown.clone()).map_err(io::Error::other)?),
            None => None,
        };
        let account = Arc::new(Account {
            ledger: Ledger::new(options.seed),
            faults: Faults::new(options.seed, options.faults),
            limit: Limit::new(options.mails_per_second, (options.mails_per_second / 10.0).max(1.0)),
            reporter,
            options,
        });
        let url = Front::start(Arc::clone(&account), shutdown).await?.url();
        Ok(Self { account, url })
    }

    /// The base of both APIs; the App API has `/v1` after it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Every mail that was taken, in order.
    pub fn messages(&self) -> Vec<Message> {
        self.account.ledger.messages()
    }

    /// How many mails were taken.
    pub fn message_count(&self) -> usize {
        self.account.ledger.message_count()
    }

    /// Every event that was taken, by its id, and how often it was told.
    pub fn events(&self) -> Vec<Event> {
        self.account.ledger.events()
    }

    /// Requests refused because there were too many.
    pub fn refused_for_rate(&self) -> u64 {
        self.account.ledger.refused()
    }

    /// These faults, one a request.
    pub fn ask(&self, faults: impl IntoIterator<Item = Fault>) {
        self.account.faults.ask(faults);
    }

    /// This fault at each request, until told otherwise.
    pub fn always(&self, fault: Option<Fault>) {
        self.account.faults.always(fault);
    }

    /// How many requests met a fault so far.
    pub fn faults_given(&self) -> u64 {
        self.account.faults.given()
    }

    /// How many faults are still to come; a fault at each request counts as one.
    pub fn faults_left(&self) -> usize {
        self.account.faults.left()
    }

    /// Reports that were not accepted yet.
    pub fn reports_under_way(&self) -> usize {
        self.account.reporter.as_ref().map_or(0, Reporter::under_way)
    }
}
