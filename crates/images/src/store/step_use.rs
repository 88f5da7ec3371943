//! How a step of a build was used.

use model::Timestamp;

/// How a step was used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepUse {
    /// Seconds since 1970.
    pub(crate) used: i64,
    pub(crate) uses: u64,
}

impl StepUse {
    /// The use by the build that makes it.
    pub(crate) fn first() -> Self {
        Self { used: Timestamp::now().unix_seconds(), uses: 1 }
    }
}
