//! Why a build failed.

use std::io;
use std::path::PathBuf;

use images::registry::Platform;
use model::ErrorKind;

use crate::context::ContextError;
use crate::dockerfile::DockerfileError;
use crate::runner::StepError;
use crate::transfer::TransferError;
use crate::tree::TreeError;

/// A failed build; the text is what the client sees.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// There is no context, or no Dockerfile in it.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The Dockerfile is no good.
    #[error(transparent)]
    Dockerfile(#[from] DockerfileError),
    /// A COPY or ADD step failed.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// A COPY or ADD step failed, in a build whose words name it.
    #[error("{source}")]
    Copy {
        /// COPY or ADD.
        verb: &'static str,
        /// Whether it reads from the build context.
        reads_context: bool,
        /// Why.
        source: TransferError,
    },
    /// The engine could not do what a step needs.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The image store failed.
    #[error(transparent)]
    Images(#[from] images::Error),
    /// A command ended with another code than 0.
    #[error("The command '{command}' returned a non-zero code: {code}")]
    Command {
        /// Its words.
        command: String,
        /// Its exit code.
        code: i64,
    },
    /// A command of a graph ended with another code than 0.
    #[error("process {command:?} did not complete successfully: exit code: {code}")]
    Process {
        /// Its words.
        command: String,
        /// Its exit code.
        code: i64,
    },
    /// A command of a graph did not begin.
    #[error("process {command:?} did not complete successfully: {cause}")]
    NotBegun {
        /// Its words.
        command: String,
        /// Why.
        cause: String,
    },
    /// A step needs what only clients with BuildKit's protocol send.
    #[error(
        "RUN --mount=type={0} needs a client that speaks BuildKit's protocol, as docker buildx build does"
    )]
    NoProvisions(&'static str),
    /// The client does not have what a step requires.
    #[error("the client has no {kind} {id}, which the step requires")]
    NoSuchProvision {
        /// Secret or ssh agent.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// The Dockerfile is written for a frontend that is not built in.
    #[error("the frontend image {0:?} is not supported: only docker/dockerfile is, which is built in")]
    Frontend(String),
    /// Build checks have findings, and the Dockerfile makes these errors.
    #[error("lint violation found for rules: {0}")]
    Checks(String),
    /// The step that failed, by its lines.
    #[error("{source}")]
    Placed {
        /// The first and the last line of the instruction, from one.
        lines: (usize, usize),
        /// Why it failed.
        source: Box<BuildError>,
    },
    /// The Dockerfile has no instruction that makes an image.
    #[error("No image was generated. Is your Dockerfile empty?")]
    NoImage,
    /// `COPY --from` names a stage that comes later, or itself.
    #[error("invalid from flag value {from}: the stage is not built before this one")]
    LaterStage {
        /// The stage that is named.
        from: String,
        /// The stage that names it.
        current: String,
    },
    /// A mount of RUN names a stage that comes later.
    #[error("invalid from value {from} of the mount at {target}: the stage is not built before this one")]
    LaterMount {
        /// The stage that is named.
        from: String,
        /// Where it is to be mounted.
        target: String,
    },
    /// `COPY --from` has a number that no stage has.
    #[error("invalid stage index {0}")]
    StageNumber(usize),
    /// An image is for another platform than the one that was requested.
    #[error(
        "image with reference {image} was found but does not match the specified platform: wanted {wanted}, actual: {actual}"
    )]
    Platform {
        /// Its name.
        image: String,
        /// The requested platform.
        wanted: Box<Platform>,
        /// Its platform.
        actual: Box<Platform>,
    },
    /// An instruction that changes of an image cannot be.
    #[error("{0} is not a valid change command")]
    NotAChange(String),
    /// The steps' configurations together are too long.
    #[error("the steps of a build make no more than {0} bytes of configuration")]
    TooMuchConfiguration(usize),
    /// VOLUME names a file of the image.
    #[error("cannot mount volume over existing file, file exists {0}")]
    VolumeOverFile(String),
    /// A step reads from the build context, and the request has none.
    #[error("the build has no context to copy files from")]
    NoContext,
    /// FROM names a context that is a tree of files.
    #[error(
        "the context {0} is a directory of files, and a stage begins with an image: copy from it with --from={0}"
    )]
    ContextIsNoImage(String),
    /// RUN requests the network of the host, and the client does not allow it.
    #[error(
        "network.host is not allowed: RUN --network=host needs a client that allows the build network.host"
    )]
    HostNetwork,
    /// `--from` names the stage that it stands in.
    #[error("circular dependency detected on stage: {0}")]
    OwnStage(String),
    /// The client's policy requires an unsupported change of a source.
    #[error(
        "the client's policy wants another source in the place of {0}, or to know more of it: that is not supported"
    )]
    Replacement(String),
    /// The difference of two trees of which neither is made of the other.
    #[error(
        "the difference of two trees is known only where one is made of the other: that is not supported"
    )]
    UnrelatedTrees,
    /// The client went away.
    #[error("the build was cancelled")]
    Cancelled,
    /// A file of the builder's own cannot be used.
    #[error("cannot {act} {path}: {source}", path = path.display())]
    File {
        /// The attempted operation.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// An image's configuration cannot be written down.
    #[error("cannot write the configuration of an image: {0}")]
    Config(#[from] serde_json::Error),
}

impl BuildError {
    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Context(source) => source.kind(),
            Self::Dockerfile(source) => source.kind(),
            Self::Transfer(source) | Self::Copy { source, .. } => source.kind(),
            Self::Step(source) => source.kind,
            Self::Images(source) => source.kind(),
            Self::Placed { source, .. } => source.kind(),
            Self::Command { .. }
            | Self::Process { .. }
            | Self::NotBegun { .. }
            | Self::NoProvisions(_)
            | Self::Checks(_)
            | Self::NoSuchProvision { .. }
            | Self::NoImage
            | Self::NoContext
            | Self::ContextIsNoImage(_)
            | Self::LaterStage { .. }
            | Self::LaterMount { .. }
            | Self::StageNumber(_)
            | Self::OwnStage(_)
            | Self::NotAChange(_)
            | Self::Platform { .. }
            | Self::VolumeOverFile(_)
            | Self::TooMuchConfiguration(_)
            | Self::Replacement(_)
            | Self::Cancelled => ErrorKind::Invalid,
            Self::HostNetwork => ErrorKind::Forbidden,
            Self::Frontend(_) | Self::UnrelatedTrees => ErrorKind::Unsupported,
            Self::File { .. } | Self::Config(_) => ErrorKind::Internal,
        }
    }

    /// `errorDetail.code`: the exit code, where a command failed.
    #[must_use]
    pub fn code(&self) -> Option<i64> {
        match self {
            Self::Placed { source, .. } => source.code(),
            Self::Command { code, .. } | Self::Process { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The first and the last line of the fault in the Dockerfile, from one, if known.
    #[must_use]
    pub const fn lines(&self) -> Option<(usize, usize)> {
        match self {
            Self::Placed { lines, .. } => Some(*lines),
            Self::Dockerfile(DockerfileError::Line { number, .. }) => Some((*number, *number)),
            _ => None,
        }
    }

    /// The same failure with the lines of the step that failed.
    pub(crate) fn at(self, lines: Option<(usize, usize)>) -> Self {
        match (self, lines) {
            (error @ (Self::Cancelled | Self::Placed { .. }), _) | (error, None) => error,
            (error, Some(lines)) => Self::Placed { lines, source: Box::new(error) },
        }
    }

    /// Makes the wrapper of an I/O error.
    pub(crate) fn file(act: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { act, path, source }
    }
}

impl From<TreeError> for BuildError {
    fn from(error: TreeError) -> Self {
        Self::Transfer(error.into())
    }
}
