//! The texts of the builder's own lines in a build's stream, which differ between versions of the API.

use crate::dockerfile::Instruction;

/// The texts of a build's stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wording {
    /// Those of the reference.
    #[default]
    Reference,
    /// Those of engines since 1.24: steps are numbered from one with their total, the results of stages and tags are
    /// named, errors in a Dockerfile have their line.
    Today,
}

impl Wording {
    /// The line that begins a step; `number` counts from zero.
    pub(crate) fn step(self, number: usize, total: usize, instruction: &Instruction) -> String {
        match self {
            Self::Reference => format!("Step {number} : {}\n", instruction.shown),
            Self::Today => format!("Step {}/{total} : {}\n", number + 1, instruction.written),
        }
    }

    /// The line that names a container whose step is over.
    pub(crate) fn removed_container(self, container: &str) -> String {
        match self {
            Self::Reference => format!("Removing intermediate container {container}\n"),
            Self::Today => format!(" ---> Removed intermediate container {container}\n"),
        }
    }

    /// The line before the triggers of an image.
    pub(crate) fn triggers(self, count: usize) -> String {
        match (self, count) {
            (Self::Today, 1) => "# Executing 1 build trigger\n".to_owned(),
            _ => format!("# Executing {count} build triggers\n"),
        }
    }
}
