//! Where contexts come from.

/// The Dockerfile's name where the request gives none.
pub(super) const DOCKERFILE: &str = "Dockerfile";

/// The longest Dockerfile: those that programs write have some hundred kilobytes.
pub(crate) const DOCKERFILE_LIMIT: u64 = 2 << 20;

/// Where a context came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The client packed it, and left out what it wanted to.
    Client,
    /// The daemon fetched it.
    Fetched,
    /// It is a Dockerfile alone.
    Dockerfile,
}
