//! The requests that the frontend answers instead of building.

use crate::grpc::Status;

/// A request that the frontend answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subrequest {
    Describe,
    Lint,
    Outline,
    Targets,
}

impl Subrequest {
    pub(super) const ALL: [Self; 4] = [Self::Describe, Self::Lint, Self::Outline, Self::Targets];

    /// Parses a name.
    ///
    /// # Errors
    /// `Unimplemented` for an unknown one.
    pub(super) fn parse(name: &str) -> Result<Self, Status> {
        let found = Self::ALL.into_iter().find(|known| known.name() == name);
        found.ok_or_else(|| Status::unimplemented(format!("unsupported request {name}")))
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Describe => "frontend.subrequests.describe",
            Self::Lint => "frontend.lint",
            Self::Outline => "frontend.outline",
            Self::Targets => "frontend.targets",
        }
    }

    pub(super) const fn description(self) -> &'static str {
        match self {
            Self::Describe => "List available subrequest types",
            Self::Lint => "Lint a Dockerfile",
            Self::Outline => "List all parameters current build target supports",
            Self::Targets => "List all targets current build supports",
        }
    }
}
