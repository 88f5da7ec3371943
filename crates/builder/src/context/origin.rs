//! Where contexts come from.

/// Where a context came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The client packed it, and applied its excludes.
    Client,
    /// The daemon fetched it.
    Fetched,
    /// It is a Dockerfile alone.
    Dockerfile,
}
