//! The outbox: single mails, each sent once.

mod deliver_message;
mod sweep_messages;

pub use deliver_message::DeliverMessage;
pub use sweep_messages::SweepMessages;
