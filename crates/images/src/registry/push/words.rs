//! How the messages of a push are worded.

use model::{ImageReference, RepositoryName};

use super::super::error::RegistryError;

/// The texts of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushWords {
    /// Those of the reference, Docker 1.8.3.
    Reference,
    /// Those of engines since 1.24.
    Today,
}

impl PushWords {
    /// The first message.
    pub(super) fn begins(self, repository: &str, tags: usize) -> String {
        match self {
            Self::Reference => format!("The push refers to a repository [{repository}] (len: {tags})"),
            Self::Today => format!("The push refers to repository [{repository}]"),
        }
    }

    /// The message about a layer that the registry has.
    pub(super) const fn exists(self) -> &'static str {
        match self {
            Self::Reference => "Image already exists",
            Self::Today => "Layer already exists",
        }
    }

    /// The message about a layer while its blob is made.
    pub(super) const fn compresses(self) -> &'static str {
        match self {
            Self::Reference => "Buffering to Disk",
            Self::Today => "Preparing",
        }
    }

    /// The message about a layer that was sent.
    pub(super) const fn was_sent(self) -> &'static str {
        match self {
            Self::Reference => "Image successfully pushed",
            Self::Today => "Pushed",
        }
    }

    /// No tag of this repository is here.
    pub(super) fn lacks_repository(self, reference: &ImageReference) -> RegistryError {
        let repository = reference.repository.to_string();
        match (self, &reference.tag) {
            (Self::Reference, _) => RegistryError::NoSuchRepository(repository),
            (Self::Today, Some(tag)) => {
                RegistryError::NotHere(format!("tag does not exist: {repository}:{tag}"))
            }
            (Self::Today, None) => {
                RegistryError::NotHere(format!("An image does not exist locally with the tag: {repository}"))
            }
        }
    }

    /// The repository does not have this tag here.
    pub(super) fn lacks_tag(self, repository: &RepositoryName, tag: String) -> RegistryError {
        let repository = repository.to_string();
        match self {
            Self::Reference => RegistryError::NoSuchTag { repository, tag },
            Self::Today => RegistryError::NotHere(format!("tag does not exist: {repository}:{tag}")),
        }
    }
}
