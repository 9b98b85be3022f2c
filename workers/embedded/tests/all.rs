//! Real servers in temporary folders.

mod crash;
mod life;
mod places;
mod private;
mod refusals;
mod sharing;
mod support;
