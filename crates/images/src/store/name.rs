//! A name of an image: a tag or a digest of a repository.

use model::{Digest, ImageReference};

/// A name of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    Tag(String, String),
    Digest(String, Digest),
}

/// A name with what it is given to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedImage {
    pub(crate) name: Name,
    pub(crate) image: Digest,
    /// The target of the image by this name; a digest is itself the name of its target.
    pub(crate) target: Option<Digest>,
}

impl Name {
    /// The name of a reference; the tag is `latest` if none is written.
    pub(crate) fn of(reference: &ImageReference) -> Self {
        let repository = reference.repository.to_string();
        match reference.digest {
            Some(digest) => Self::Digest(repository, digest),
            None => Self::Tag(repository, reference.tag_or_latest().to_string()),
        }
    }

    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Tag(repository, tag) => format!("{repository}:{tag}"),
            Self::Digest(repository, digest) => format!("{repository}@{digest}"),
        }
    }

    pub(crate) fn repository(&self) -> &str {
        match self {
            Self::Tag(repository, _) | Self::Digest(repository, _) => repository,
        }
    }
}
