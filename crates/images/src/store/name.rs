//! A name of an image: a tag or a digest of a repository.

use model::Digest;

use super::Index;

/// A name of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    Tag(String, String),
    Digest(String, Digest),
}

impl Name {
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

/// All names of an image, in order.
pub(crate) fn names_of(index: &Index, image: &Digest) -> Vec<Name> {
    let tags = index.tags_of(image).into_iter();
    let digests = index.digests_of(image).into_iter();
    tags.map(|(repository, tag)| Name::Tag(repository.to_owned(), tag.to_owned()))
        .chain(digests.map(|(repository, digest)| Name::Digest(repository.to_owned(), *digest)))
        .collect()
}
