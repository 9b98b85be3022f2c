//! Stock: what moves it, and what the books say of it.

mod adjustment;
mod dispatch;
mod levels;
