//! The group roles: what each may do, and that each can do its work.

mod functions;
mod matrix;
mod rules;
mod setup;
mod statements;
mod work;
