//! What every handler shares.

use std::sync::Arc;

use sqlx::PgPool;

use crate::Config;
use crate::metrics::Counts;
use crate::webhooks::shopify::Inbox;
use crate::webhooks::signature::Verifier;

/// Shared by all handlers; a clone is the same state.
#[derive(Clone)]
pub struct AppState {
    pub(crate) pool: PgPool,
    pub(crate) verifier: Verifier,
    pub(crate) shop_domain: Arc<str>,
    pub(crate) reports: Option<Verifier>,
    pub(crate) seal: Option<Verifier>,
    pub(crate) courier: Option<Verifier>,
    pub(crate) packer: Option<Verifier>,
    pub(crate) shopify: Inbox,
    pub(crate) counts: Arc<Counts>,
    pub(crate) kinds: engine::Kinds,
}

impl AppState {
    /// The state of a process with these settings and this database.
    pub fn new(config: &Config, pool: PgPool) -> Self {
        let previous = config.shopify_secret_previous.as_ref();
        Self {
            verifier: Verifier::new(&config.shopify_secret, previous),
            reports: config.customerio.verifier(),
            seal: config.seal.verifier(),
            courier: config.courier.verifier(),
            packer: config.packer.verifier(),
            shop_domain: config.shop_domain.as_str().into(),
            shopify: Inbox::new(&pool),
            counts: Arc::default(),
            kinds: jobs::kinds(),
            pool,
        }
    }

    /// The same with these kinds of job as those that callers may enqueue; without it, those of the product.
    #[must_use]
    pub fn with_kinds(self, kinds: engine::Kinds) -> Self {
        Self { kinds, ..self }
    }
}
