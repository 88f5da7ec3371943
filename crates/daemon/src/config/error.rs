//! Why the daemon's settings cannot be used.

use super::address::AddressError;
use super::file::FileError;

/// A setting cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The configuration file is at fault.
    #[error(transparent)]
    File(#[from] FileError),
    /// A `-H` value is at fault.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Some other flag is at fault.
    #[error("--{flag}: {problem}")]
    Flag { flag: &'static str, problem: String },
}

impl SettingsError {
    pub(super) fn flag(flag: &'static str, problem: impl std::fmt::Display) -> Self {
        Self::Flag { flag, problem: problem.to_string() }
    }
}
