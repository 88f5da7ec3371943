//! The stages that a stage may name: those that are written before it.

use std::sync::Arc;

use super::stage::Stage;
use crate::error::BuildError;

/// A stage that later ones begin with or copy from.
pub(super) struct FinishedStage {
    pub(super) name: Option<String>,
    pub(super) stage: Stage,
}

/// Stages that are built when they are needed, several at a time.
pub(super) trait ScheduledStages: Sync {
    /// The number of the last stage of this name before stage `before`.
    fn named(&self, name: &str, before: usize) -> Option<usize>;

    /// How many stages there are.
    fn count(&self) -> usize;

    /// Whether a later stage than `before` has this name.
    fn is_later(&self, name: &str, before: usize) -> bool;

    /// Waits until a stage is built, or builds it.
    ///
    /// # Errors
    /// [`BuildError::Cancelled`] when it fails: its own error ends the build.
    fn finished(&self, number: usize) -> Result<Arc<FinishedStage>, BuildError>;
}

/// The stages before the present one.
pub(super) enum EarlierStages<'a> {
    /// All of them are built, in the order in which they are written.
    Built(Vec<Arc<FinishedStage>>),
    /// The stages below a number are built as they are needed.
    Scheduled { stages: &'a dyn ScheduledStages, number: usize },
}

impl EarlierStages<'_> {
    /// How many there are: the number of the present stage.
    pub(super) const fn count(&self) -> usize {
        match self {
            Self::Built(stages) => stages.len(),
            Self::Scheduled { number, .. } => *number,
        }
    }

    /// The number of the last stage of this name.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        match self {
            Self::Built(stages) => stages.iter().rposition(|stage| {
                stage.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name))
            }),
            Self::Scheduled { stages, number } => stages.named(name, *number),
        }
    }

    /// How many stages there are that are known.
    pub(super) fn total(&self) -> usize {
        match self {
            Self::Built(stages) => stages.len() + 1,
            Self::Scheduled { stages, .. } => stages.count(),
        }
    }

    /// Whether a stage of this name follows the present one.
    pub(super) fn is_later(&self, name: &str) -> bool {
        match self {
            Self::Built(_) => false,
            Self::Scheduled { stages, number } => stages.is_later(name, *number),
        }
    }

    /// A stage by its number; `None` when it does not come before the present one.
    ///
    /// # Errors
    /// [`BuildError::Cancelled`] when it fails.
    pub(super) fn finished(&self, wanted: usize) -> Result<Option<Arc<FinishedStage>>, BuildError> {
        match self {
            Self::Built(stages) => Ok(stages.get(wanted).cloned()),
            Self::Scheduled { number, .. } if wanted >= *number => Ok(None),
            Self::Scheduled { stages, .. } => stages.finished(wanted).map(Some),
        }
    }
}
