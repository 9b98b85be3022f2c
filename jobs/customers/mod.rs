//! Customers: what Shopify says of them, and what they ask by law.

mod handle_privacy_request;
mod process_customer;
mod remind_of_privacy_request;

pub use handle_privacy_request::HandlePrivacyRequest;
pub use process_customer::ProcessCustomer;
pub use remind_of_privacy_request::RemindOfPrivacyRequest;
