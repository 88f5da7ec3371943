//! Everything that a request to the engine can fail with, in the words that clients show.

use std::io;
use std::path::PathBuf;

use model::{ContainerId, ErrorKind};
use shim_protocol::{Failure, FailureKind};

/// Why the engine could not do what was requested.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say what each variant is")]
pub enum Error {
    #[error("no such id: {0}")]
    NoSuchContainer(String),
    #[error("no such id: {0}: the prefix is ambiguous, more than one container's id starts with it")]
    AmbiguousContainer(String),
    /// The image of a new container is not there.
    #[error("No such image: {name} (tag: {tag})")]
    NoImageToCreate {
        /// Its name as given.
        name: String,
        /// The missing tag or digest.
        tag: String,
    },
    #[error("No such exec instance '{0}' found in daemon")]
    NoSuchExec(String),
    #[error("Error: Exec command {0} is already running or has already run (conflict)")]
    ExecAlreadyRun(String),
    #[error("No exec command specified")]
    NoExecCommand,
    #[error("Container {0} is not running")]
    NotRunning(String),
    #[error("cannot join {namespace} of a non running container: {container}")]
    JoinedNotRunning { namespace: &'static str, container: String },
    #[error("Container {0} is paused, unpause the container before exec")]
    PausedForExec(String),
    #[error("Container {0} is paused, unpause the container before attach")]
    PausedForAttach(String),
    #[error("Container {0} is already paused")]
    AlreadyPaused(String),
    #[error("Container {0} is not paused")]
    NotPaused(String),
    #[error("Cannot start a paused container, try unpause instead.")]
    StartPaused,
    #[error("Container is marked for removal and cannot be started.")]
    StartRemoving,
    #[error(
        "Conflict. The name \"{name}\" is already in use by container {}. You have to delete (or rename) that container to be able to reuse that name.",
        holder.short()
    )]
    NameTaken { name: String, holder: ContainerId },
    #[error("Invalid container name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
    InvalidName(String),
    #[error("{0}")]
    UnusableText(String),
    #[error("usage: docker rename OLD_NAME NEW_NAME")]
    RenameToNothing,
    #[error("Error when allocating new name: {0}")]
    Rename(#[source] Box<Error>),
    #[error(
        "Conflict, You cannot remove a running container. Stop the container before attempting removal or use -f"
    )]
    RemoveRunning,
    #[error(
        "Conflict, You cannot remove a running container. Stop the container before attempting removal or use -f"
    )]
    RemovePaused,
    #[error("Conflict, the container is being removed already")]
    AlreadyRemoving,
    #[error("Conflict, cannot remove the default name of the container")]
    RemoveDefaultName,
    #[error("Cannot {act} container {container}: {source}")]
    Container { act: &'static str, container: String, source: Box<Error> },
    #[error("[8] System error: {message}")]
    System { kind: ErrorKind, message: String },
    /// A program that cannot be run, in the same words.
    #[error("[8] System error: {message}")]
    Program { kind: ErrorKind, message: String },
    /// Something of the host that a start needs.
    #[error("{0}")]
    MissingOnHost(String),
    #[error("Bad parameters: you must choose at least one stream")]
    NoStreamChosen,
    #[error("{0}")]
    Path(#[source] images::paths::PathError),
    /// The container's log driver keeps nothing that could be read.
    #[error("{0}")]
    UnreadableLog(String),
    /// A log's driver or its options.
    #[error(transparent)]
    Log(#[from] log_drivers::Refusal),
    #[error("{message}")]
    Refused { kind: ErrorKind, message: String },
    #[error("cannot {act} {}", path.display())]
    File { act: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot {act} in the engine's database")]
    Database { act: &'static str, source: rusqlite::Error },
    #[error("cannot {act} the container's shim: {source}")]
    Shim { act: &'static str, source: io::Error },
    #[error("the container's shim is gone")]
    ShimGone,
    #[error("the connection to the container's shim was lost")]
    ShimLost,
    #[error("the container's shim does not answer")]
    ShimSilent,
    #[error("Conflicting options: {0}")]
    ConflictingOptions(String),
    #[error("{0}")]
    Image(#[source] images::Error),
    #[error("{0}")]
    Network(#[source] network::Error),
    #[error("cannot use the network of pods")]
    Cni(#[source] cni::Error),
    #[error("cannot use systemd for the cgroups of pods")]
    Systemd(#[source] systemd::Error),
}

impl Error {
    /// A refusal with words of its own.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::Refused { kind: ErrorKind::Invalid, message: message.into() }
    }

    /// A refusal in the words that the reference has for what fails in a start.
    pub(crate) fn system(message: impl Into<String>) -> Self {
        Self::System { kind: ErrorKind::Invalid, message: message.into() }
    }

    /// A named object does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::Refused { kind: ErrorKind::NotFound, message: message.into() }
    }

    /// Settings contradict each other or the current state.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::Refused { kind: ErrorKind::Conflict, message: message.into() }
    }

    /// 403 in these words.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::Refused { kind: ErrorKind::Forbidden, message: message.into() }
    }

    /// A refusal by the host, with this text.
    pub(crate) fn of_host(message: impl Into<String>) -> Self {
        Self::Refused { kind: ErrorKind::Internal, message: message.into() }
    }

    /// Puts the act and the container, named as the client did, in front, as the reference words it.
    pub(crate) fn on(self, act: &'static str, container: impl Into<String>) -> Self {
        Self::Container { act, container: container.into(), source: Box::new(self) }
    }

    /// The cause for a client's stream, without the prefix of responses.
    #[must_use]
    pub fn cause(&self) -> String {
        match self {
            Self::System { message, .. } | Self::Program { message, .. } => message.clone(),
            other => model::with_causes(other),
        }
    }

    /// The failure itself, without the act and the container in front of it.
    #[must_use]
    pub fn root(&self) -> &Self {
        match self {
            Self::Rename(source) | Self::Container { source, .. } => source.root(),
            other => other,
        }
    }

    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchContainer(_)
            | Self::NoImageToCreate { .. }
            | Self::AmbiguousContainer(_)
            | Self::NoSuchExec(_)
            | Self::MissingOnHost(_) => ErrorKind::NotFound,
            Self::NameTaken { .. }
            | Self::RemoveRunning
            | Self::RemovePaused
            | Self::AlreadyRemoving
            | Self::RemoveDefaultName
            | Self::NotRunning(_)
            | Self::JoinedNotRunning { .. }
            | Self::PausedForExec(_)
            | Self::PausedForAttach(_)
            | Self::AlreadyPaused(_)
            | Self::NotPaused(_)
            | Self::StartPaused
            | Self::StartRemoving
            | Self::ExecAlreadyRun(_)
            | Self::ConflictingOptions(_) => ErrorKind::Conflict,
            Self::Rename(source) | Self::Container { source, .. } => source.kind(),
            Self::System { kind, .. } | Self::Program { kind, .. } | Self::Refused { kind, .. } => *kind,
            Self::Image(source) => source.kind(),
            Self::Network(source) => source.kind(),
            Self::Path(source) => source.kind(),
            Self::NoExecCommand
            | Self::NoStreamChosen
            | Self::InvalidName(_)
            | Self::UnusableText(_)
            | Self::RenameToNothing
            | Self::Log(_)
            | Self::UnreadableLog(_) => ErrorKind::Invalid,
            Self::ShimGone | Self::ShimLost | Self::ShimSilent => ErrorKind::Unavailable,
            Self::File { .. }
            | Self::Database { .. }
            | Self::Shim { .. }
            | Self::Cni(_)
            | Self::Systemd(_) => ErrorKind::Internal,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let program = |kind, message| Self::Program { kind, message };
        let kind = match failure.kind {
            FailureKind::ProgramNotFound => return program(ErrorKind::NotFound, failure.message),
            FailureKind::ProgramNotExecutable => return program(ErrorKind::Invalid, failure.message),
            FailureKind::Missing => return Self::not_found(failure.message),
            FailureKind::NotFound => ErrorKind::NotFound,
            FailureKind::UserNotFound => ErrorKind::Invalid,
            FailureKind::WrongState => ErrorKind::Conflict,
            FailureKind::Refused => return Self::refused(failure.message),
            FailureKind::Unsupported => ErrorKind::Unsupported,
            FailureKind::System | FailureKind::Unknown => ErrorKind::Internal,
        };
        Self::System { kind, message: failure.message }
    }
}

/// Names a failed file operation.
pub(crate) fn file_error(act: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { act, path, source }
}

/// Names a failed database operation.
pub(crate) fn database_error(act: &'static str) -> impl FnOnce(rusqlite::Error) -> Error {
    move |source| Error::Database { act, source }
}
