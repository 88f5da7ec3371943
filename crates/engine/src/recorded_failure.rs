//! Why a container's last start failed, or what ended it, as its record keeps it: the cause alone. What clients
//! read before it depends on the version of the API.

use model::with_causes;

use crate::error::Error;

/// Earlier releases saved this before the causes of [`RecordedFailure::System`].
const OLD_PREFIX: &str = "[8] System error: ";

/// A failure, by where it arose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordedFailure {
    /// The container's processes, or what they see, could not be made.
    System(String),
    /// Anything else.
    Other(String),
}

impl RecordedFailure {
    /// The failure that an error is.
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::System { message, .. } | Error::Program { message, .. } => Self::System(message.clone()),
            other => Self::Other(with_causes(other)),
        }
    }

    /// The failure that an earlier release saved as one text; `None` of an empty one.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        match text.strip_prefix(OLD_PREFIX) {
            Some(cause) => Some(Self::System(cause.to_owned())),
            None if text.is_empty() => None,
            None => Some(Self::Other(text.to_owned())),
        }
    }

    /// The cause.
    #[must_use]
    pub fn cause(&self) -> &str {
        match self {
            Self::System(cause) | Self::Other(cause) => cause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_cause_is_kept() {
        let error = Error::system("mounting into / is prohibited");
        let kept = RecordedFailure::of(&error);
        assert_eq!(kept, RecordedFailure::System("mounting into / is prohibited".to_owned()));
        // What an earlier release saved of the same error.
        assert_eq!(RecordedFailure::of_text(&error.to_string()), Some(kept));
        let other = RecordedFailure::of(&Error::ShimGone);
        assert_eq!(other, RecordedFailure::Other("the container's shim is gone".to_owned()));
        assert_eq!(RecordedFailure::of_text(other.cause()), Some(other));
        assert_eq!(RecordedFailure::of_text(""), None);
    }
}
