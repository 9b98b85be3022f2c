//! What runs and bad inputs came to, added up over any number of series: a journal of one line a run, and the page that is
//! made of it alone.

mod figures;
mod line;
mod lines;
mod origin;
mod page;
mod seeds;

pub use line::{Judged, Line, Ran, Setting, Tried};
#[cfg(test)]
pub(crate) use lines::tests;
pub use lines::{JOURNAL, PAGE, Results};
pub use origin::{COMMIT_OF_SERIES, Origin};
