//! What advertising cost, and what foreign money was worth.

use chrono::{Duration, NaiveDate};
use rand::RngExt;

use super::book::Book;
use super::calendar::in_britain;
use super::draws::Theme;
use super::sheet::{Pounds, Thousandths, row};

/// Platform, account, campaign's id and name, its currency, and its share of the spending in percent.
const CAMPAIGNS: [(&str, &str, &str, &str, &str, i64); 5] = [
    ("meta", "act_100200300", "m-1", "Prospecting: puppy owners", "GBP", 38),
    ("meta", "act_100200300", "m-2", "Retargeting: calculator", "GBP", 17),
    ("google", "200-300-4000", "g-1", "Brand search", "GBP", 12),
    ("google", "200-300-4000", "g-2", "Raw dog food", "GBP", 25),
    ("tiktok", "tt-7001", "t-1", "Dog chefs", "USD", 8),
];
/// Currency and thousandths of a pound.
const RATES: [(&str, i64); 2] = [("USD", 786), ("EUR", 858)];

impl Book<'_> {
    /// The accounts that the campaigns run in.
    pub fn ad_accounts(&mut self) {
        let since = self.customer(self.first).since;
        for (platform, account) in [("meta", "act_100200300"), ("google", "200-300-4000"), ("tiktok", "tt-7001")] {
            row!(self.sheets, "ad_accounts", {
                platform: platform,
                account_id: account,
                account_name: format!("Protocol Raw {platform}"),
                is_active: true,
                api_credentials_ref: format!("ADS_{}", platform.to_uppercase()),
                last_sync_at: self.until - Duration::hours(3),
                last_sync_status: "success",
                created_at: since,
            });
        }
    }

    /// A day's advertising; `joined` is how many became customers.
    pub fn advertising(&mut self, day: NaiveDate, joined: u64) {
        let mut random = self.stream(Theme::Marketing, u64::MAX - day.signed_duration_since(NaiveDate::default()).num_days() as u64);
        let imported = self.until.min(in_britain(super::calendar::next(day), 5, 30));
        let mut dollar = 0;
        for (currency, usual) in RATES {
            let rate = usual + random.random_range(-12..13);
            dollar = if currency == "USD" { rate } else { dollar };
            row!(self.sheets, "currency_rates", {
                date: day,
                from_currency: currency,
                to_currency: "GBP",
                rate: Thousandths(rate),
                source: "exchangerate-api",
                fetched_at: imported,
            });
        }
        // A new customer costs some 28 pounds; half of them come by an advertisement.
        let spent = joined as i64 * 2_800 + random.random_range(900..2_600);
        for (platform, account, campaign, name, currency, share) in CAMPAIGNS {
            let local = spent * share / 100;
            let pounds = if currency == "USD" { local * dollar / 1_000 } else { local };
            let clicks = pounds / random.random_range(55..95);
            row!(self.sheets, "ad_campaigns", {
                platform: platform,
                account_id: account,
                account_name: format!("Protocol Raw {platform}"),
                campaign_id: campaign,
                campaign_name: name,
                date: day,
                spend_local: Pounds(local),
                currency_code: currency,
                spend_gbp: Pounds(pounds),
                impressions: clicks * random.random_range(40..90),
                clicks: clicks,
                conversions: joined as i64 * share / 200,
                imported_at: imported,
                updated_at: imported,
            });
        }
    }
}
