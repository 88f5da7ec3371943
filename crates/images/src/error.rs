//! Errors of images, with the texts that clients expect.

use std::io;
use std::path::{Path, PathBuf};

use model::{Digest, ErrorKind, ReferenceError};

use crate::tar::{ArchiveError, is_want_of_room};
use crate::tree::ReservedName;

/// A failure of the image store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No image has this name or id.
    #[error("No such image: {0}")]
    NoSuchImage(String),
    /// Several images' ids begin with this.
    #[error("No such image: {0} (ambiguous: multiple IDs found with provided prefix)")]
    AmbiguousId(String),
    /// No image has this name or id; the wording of history, tag and save.
    #[error("could not find image: no such id: {0}")]
    ImageNotFound(String),
    /// Several images' ids begin with this; the wording of history, tag and save.
    #[error("could not find image: Multiple IDs found with provided prefix")]
    AmbiguousPrefix,
    /// No image of this name that is here is for the platform.
    #[error("image with reference {name} was found but does not provide the specified platform ({wanted})")]
    NoPlatform {
        /// The name.
        name: String,
        /// The platform.
        wanted: String,
    },
    /// An empty name was given.
    #[error("could not find image: Prefix can't be empty")]
    EmptyPrefix,
    /// An image without a name was to be removed.
    #[error("Image name can not be blank")]
    BlankName,
    /// A text is no name of an image.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The tag names another image.
    #[error(
        "Conflict: Tag {tag} is already set to image {image}, if you want to replace it, please use -f option"
    )]
    TagTaken {
        /// The tag.
        tag: String,
        /// The full id of the image that has it.
        image: String,
    },
    /// The image cannot be removed in its present state; the text has the reason.
    #[error(transparent)]
    RemovalConflict(#[from] RemovalConflict),
    /// An archive is malformed, hostile or truncated, or cannot be read or unpacked.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A document (config, manifest, `json` member) is malformed.
    #[error("cannot read the document {name}: {}", model::json_words(source))]
    Document {
        /// Its name or digest.
        name: String,
        /// Its fault.
        source: serde_json::Error,
    },
    /// A document or tarball contradicts itself or lacks a part.
    #[error("{0}")]
    Inconsistent(Inconsistency),
    /// Something that an image needs is not in the store.
    #[error("the image store has no {kind} {digest}")]
    Missing {
        /// Layer, config, manifest.
        kind: &'static str,
        /// Its digest.
        digest: Digest,
    },
    /// A file of a container or a build has a name that no layer can hold.
    #[error(transparent)]
    ReservedName(ReservedName),
    /// A file of the store cannot be read or written.
    #[error("cannot {act} {path}: {source}", path = path.display())]
    File {
        /// The attempted operation.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// The store's database fails.
    #[error("cannot {act} in the image database: {source}")]
    Database {
        /// The attempted operation.
        act: &'static str,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// The receiver of a stream is gone or fails.
    #[error("cannot write the archive: {0}")]
    Output(io::Error),
}

/// Why a tarball or an image's documents do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum Inconsistency {
    /// A member that another one names is missing in the tarball and in the store.
    #[error("the tarball has no {0}: no such file")]
    MissingMember(String),
    /// The tarball names an image that is missing in it and in the store.
    #[error("could not find image: no such id: {0}")]
    UnknownImage(String),
    /// Content does not have the digest it is named by.
    #[error("{name} has the digest {actual}, not {expected}")]
    WrongDigest {
        /// Its name.
        name: String,
        /// The digest it should have.
        expected: Digest,
        /// The digest it has.
        actual: Digest,
    },
    /// Content has another size than its descriptor states.
    #[error("{name} has {actual} bytes, not {expected}")]
    WrongSize {
        /// Its name.
        name: String,
        /// The size it is described with.
        expected: u64,
        /// The size it has.
        actual: u64,
    },
    /// A descriptor has an invalid value.
    #[error("{place} has a descriptor whose {what} is invalid: {value}")]
    Descriptor {
        /// The document that it stands in.
        place: String,
        /// Which value.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// A descriptor has no digest.
    #[error("{0} has a descriptor without a digest")]
    NoDigest(String),
    /// An index is in an index, which is in one, and so on.
    #[error("the index {name} stands in more than {limit} others")]
    TooDeep {
        /// The index.
        name: String,
        /// How many others it may stand in.
        limit: u32,
    },
    /// An index lists no image.
    #[error("the index {0} lists no image")]
    EmptyIndex(String),
    /// A layout is of another version of the specification.
    #[error("the image layout has version {0:?}, only 1.0.0 is known")]
    LayoutVersion(String),
    /// A name has the digest of something else.
    #[error("the tarball gives the name {0} to what does not have this digest")]
    WrongName(String),
    /// A manifest has more or fewer layers than the config.
    #[error("{name} has {layers} layers, its config {diff_ids}")]
    LayerCount {
        /// The manifest.
        name: String,
        /// How many the manifest has.
        layers: usize,
        /// How many the config has.
        diff_ids: usize,
    },
    /// Parents form a circle.
    #[error("the parents of image {0} form a circle")]
    Circle(String),
    /// A limit against bombs is passed.
    #[error("{what} has more than {limit} {unit}")]
    TooMuch {
        /// The object that is too large.
        what: String,
        /// The limit.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
    /// A cache of builds that only BuildKit reads.
    #[error("the cache was made by BuildKit, whose description of steps is not understood")]
    ForeignCache,
    /// The tarball has nothing that could be loaded.
    #[error("the tarball holds no image: no repositories, manifest.json or index.json")]
    NoImage,
}

/// Why an image cannot be removed now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemovalConflict {
    /// By id, while names in several repositories point to it.
    #[error(
        "Conflict, cannot delete image {0} because it is tagged in multiple repositories, use -f to force"
    )]
    SeveralRepositories(String),
    /// It was to go only without a name.
    #[error("Conflict, image {0} has a name")]
    Named(String),
    /// Other images are built on it.
    #[error("Conflict, {0} wasn't deleted")]
    HasChildren(String),
    /// A container is being created of it.
    #[error("Conflict, cannot delete {image} because the container {container} is being created from it")]
    UsedByNew {
        /// Short id of the image.
        image: String,
        /// Short id of the container.
        container: String,
    },
    /// A build continues from it.
    #[error("Conflict, cannot delete {0} because a build is using it, retry when it is done")]
    UsedByBuild(String),
    /// A stopped container uses it.
    #[error("Conflict, cannot delete {image} because the container {container} is using it, use -f to force")]
    UsedByStopped {
        /// Short id of the image.
        image: String,
        /// Short id of the container.
        container: String,
    },
    /// A running container uses it.
    #[error(
        "Conflict, cannot delete {image} because the running container {container} is using it, stop it and use -f to force"
    )]
    UsedByRunning {
        /// Short id of the image.
        image: String,
        /// Short id of the container.
        container: String,
    },
    /// A running container uses it, and force does not help.
    #[error(
        "Conflict, cannot force delete {image} because the running container {container} is using it, stop it and retry"
    )]
    ForcedUsedByRunning {
        /// Short id of the image.
        image: String,
        /// Short id of the container.
        container: String,
    },
}

impl Error {
    /// The kind of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchImage(_)
            | Self::NoPlatform { .. }
            | Self::AmbiguousId(_)
            | Self::ImageNotFound(_)
            | Self::AmbiguousPrefix
            | Self::Inconsistent(Inconsistency::UnknownImage(_) | Inconsistency::MissingMember(_)) => {
                ErrorKind::NotFound
            }
            Self::TagTaken { .. } | Self::RemovalConflict(_) => ErrorKind::Conflict,
            Self::Reference(error) => error.kind(),
            Self::Archive(error) => error.kind(),
            Self::EmptyPrefix
            | Self::BlankName
            | Self::Document { .. }
            | Self::Inconsistent(_)
            | Self::ReservedName(_) => ErrorKind::Invalid,
            Self::Missing { .. } | Self::File { .. } | Self::Database { .. } | Self::Output(_) => {
                ErrorKind::Internal
            }
        }
    }

    /// Whether the disk has no room for what was to be written.
    pub(crate) fn is_want_of_room(&self) -> bool {
        match self {
            Self::Archive(error) => error.is_want_of_room(),
            Self::File { source, .. } | Self::Output(source) => is_want_of_room(source),
            _ => false,
        }
    }

    /// Takes the error as history, tag and save word it.
    #[must_use]
    pub fn as_lookup(self) -> Self {
        match self {
            Self::NoSuchImage(name) if name.is_empty() => Self::EmptyPrefix,
            Self::NoSuchImage(name) => Self::ImageNotFound(name),
            Self::AmbiguousId(_) => Self::AmbiguousPrefix,
            other => other,
        }
    }

    pub(crate) fn file(act: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::File { act, path, source }
    }

    pub(crate) fn database(act: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Database { act, source }
    }
}

impl From<Inconsistency> for Error {
    fn from(inconsistency: Inconsistency) -> Self {
        Self::Inconsistent(inconsistency)
    }
}
