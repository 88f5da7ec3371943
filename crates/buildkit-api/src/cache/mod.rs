//! What is kept of builds, for both ways that clients list and prune it: the builder's cache, and the directories that
//! clients have sent.

mod filter;
mod records;

pub(crate) use filter::CacheFilter;
pub use records::Pruning;
pub(crate) use records::{prune, records};
