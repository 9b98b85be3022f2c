//! Where the shop is, and the key to it.

use super::{
    super::{
        Secret,
        http::{Target, TargetError},
    },
    SYSTEM,
};

/// The version of the API that the documents are read in.
const VERSION: &str = "2026-07";

/// Settings of the client.
#[derive(Clone, Default)]
pub struct Settings {
    /// The shop, as `name.myshopify.com`.
    pub shop: Option<String>,
    /// The Admin API's token; without it nothing is called.
    pub token: Option<Secret>,
    /// The API in place of the shop's own, such as a sandbox's.
    pub url: Option<String>,
    /// The version of the API; 2026-07 unless set.
    pub version: Option<String>,
    /// Calls of the REST API a second; what Shopify takes, 2, unless set.
    pub rest_per_second: Option<f64>,
}

impl Settings {
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> Self {
        let token = lookup("SHOPIFY_ADMIN_TOKEN").map(Secret::new);
        problems.extend(token.as_ref().and_then(|token| token.problem("SHOPIFY_ADMIN_TOKEN")));
        let settings = Self {
            shop: lookup("SHOPIFY_SHOP_DOMAIN"),
            token,
            url: lookup("SHOPIFY_ADMIN_URL"),
            version: lookup("SHOPIFY_API_VERSION"),
            rest_per_second: None,
        };
        if settings.token.is_some() && settings.shop.is_none() {
            problems.push("SHOPIFY_ADMIN_TOKEN is set, and SHOPIFY_SHOP_DOMAIN is not; expected a name like raw.myshopify.com".into());
        }
        settings
    }

    /// Where the API is; none without a shop.
    pub(crate) fn target(&self) -> Result<Option<Target>, TargetError> {
        let of_shop = || self.shop.as_ref().map(|shop| format!("https://{shop}"));
        self.url.clone().or_else(of_shop).map(|url| Target::new(SYSTEM, &url)).transpose()
    }

    pub(super) fn version(&self) -> &str {
        self.version.as_deref().unwrap_or(VERSION)
    }
}
