//! How much a write must survive.

/// How much a write must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Durability {
    /// `kill -9` of the daemon.
    Crash,
    /// Loss of power.
    PowerLoss,
}
