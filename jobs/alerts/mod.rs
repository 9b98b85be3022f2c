//! Alerts: what people hear of in Slack, and how often.

mod post_alert;
mod report_failures;

pub use post_alert::PostAlert;
pub use report_failures::ReportFailures;
