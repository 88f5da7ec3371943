//! Why a container's log is refused before anything starts.

use thiserror::Error;

/// Why a driver cannot be used with a container's settings.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A name that no driver has.
    #[error("Failed to get logging factory: logger: no log driver named '{0}' is registered")]
    UnknownDriver(String),
    /// The fault of an option.
    #[error("{0}")]
    Option(String),
}
