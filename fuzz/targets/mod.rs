//! What is tried, and what is promised of it.

mod alerts;
mod documents;
mod export;
mod files;
mod jsonb;
mod outside;
mod requests;
mod schedules;
mod settings;
mod signatures;
mod stored;

use crate::Target;

/// All of them.
pub static TARGETS: [Target; 20] = [
    alerts::SLACK,
    alerts::MAIL,
    documents::SHOPIFY,
    documents::SEAL,
    documents::SCAN,
    export::FILE,
    files::DISPATCH,
    files::TEMPERATURES,
    jsonb::CHECK,
    outside::ADDRESS,
    outside::REDACTED,
    outside::PUBLIC,
    outside::WAIT,
    requests::DECISION,
    schedules::LINE,
    settings::READ,
    signatures::SIGNATURE,
    stored::ARGUMENTS,
    stored::POSTCODE,
    stored::TRACE_PARENT,
];

/// The target of this name.
pub fn named(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}
