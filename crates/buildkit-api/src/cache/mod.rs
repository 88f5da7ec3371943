//! The cache of builds, for both ways that clients list and prune it: the builder's cache, and the directories that
//! clients have sent.

mod collect;
mod filter;
mod limit;
mod records;

pub(crate) use collect::keep_within;
pub(crate) use filter::CacheFilter;
pub(crate) use limit::default_limit;
pub use records::Pruning;
pub(crate) use records::{prune, records};
