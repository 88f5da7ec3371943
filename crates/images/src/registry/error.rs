//! Errors of registries.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use model::{Digest, ErrorKind, ReferenceError};

use super::auth::AuthError;
use super::hosts_file::HostsError;
use super::manifest::ManifestError;
use super::transport::TransportError;
use crate::tar::is_want_of_room;

/// Work with a registry failed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The work was cancelled: the client has gone away.
    #[error("the request was cancelled")]
    Cancelled,
    /// The name or term is malformed.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The credentials are malformed.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// No address of the registry answers.
    #[error("cannot reach the registry {registry}: {}{}", attempts.join("; "), hint(certificate_directories, registry))]
    Unreachable {
        /// The registry's host.
        registry: String,
        /// The attempts and their failures.
        attempts: Vec<String>,
        /// Where an authority's certificate for it could lie, when that or `--insecure-registry`
        /// could help.
        certificate_directories: Vec<PathBuf>,
    },
    /// The file with a registry's mirrors cannot be used.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// A request could not be carried out.
    #[error("{0}")]
    Transport(TransportError),
    /// Credentials are missing, wrong or do not suffice.
    #[error("{reason}")]
    Unauthorized {
        /// The registry's refusal, in its own words.
        reason: String,
    },
    /// The registry has authenticated the client and does not allow it.
    #[error("{reason}")]
    Denied {
        /// The refusal, in the registry's words.
        reason: String,
    },
    /// A repository cannot be read: registries do not reveal whether it is missing or closed.
    #[error(
        "pull access denied for {repository}, repository does not exist or may require 'docker login': {reason}"
    )]
    NoReadAccess {
        /// The repository.
        repository: String,
        /// The registry's refusal, in its own words.
        reason: String,
    },
    /// An index answers a search with a status other than success.
    #[error("Unexpected status code {status} from {url}")]
    SearchStatus {
        /// The status.
        status: u16,
        /// Where it came from.
        url: String,
    },
    /// The registry does not have the requested object.
    #[error("{reason}")]
    Unknown {
        /// The missing object, in the text that clients expect.
        reason: String,
    },
    /// The registry answers with a status that is not expected.
    #[error("{method} {url}: unexpected status {status}{}", colon(message))]
    Status {
        /// The request's method.
        method: String,
        /// Where it went, without its query.
        url: String,
        /// The status.
        status: u16,
        /// The registry's explanation, if any.
        message: String,
        /// The pause that it requests before the next attempt.
        pause: Option<Duration>,
    },
    /// An answer breaks the protocol.
    #[error("{url}: malformed {what}: {reason}")]
    Malformed {
        /// Where it came from.
        url: String,
        /// Its expected form.
        what: &'static str,
        /// Its fault.
        reason: String,
    },
    /// The token service gives no token.
    #[error("the token service {realm} gives no token: {reason}")]
    TokenService {
        /// Its address.
        realm: String,
        /// Why not.
        reason: String,
    },
    /// An index cannot be pushed whole.
    #[error(
        "cannot push the index {index}: {} of its manifests are neither here nor in the repository ({}); pull these platforms, or push one platform alone",
        missing.len(), shown_digests(missing)
    )]
    MissingPlatforms {
        /// The index.
        index: Digest,
        /// The manifests.
        missing: Vec<Digest>,
    },
    /// A manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The registry sent content that does not have the requested digest.
    #[error("the registry sent wrong content for {expected}: it has the digest {actual}")]
    WrongDigest {
        /// The requested digest.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// The registry sent content of another size than its manifest states.
    #[error("the registry sent wrong content for {digest}: {actual} bytes instead of {expected}")]
    WrongSize {
        /// The requested digest.
        digest: Digest,
        /// The size in the manifest.
        expected: u64,
        /// The size of what came, as far as it was read.
        actual: u64,
    },
    /// A download broke off and could not be resumed.
    #[error("the download of {digest} broke off at {received} of {expected} bytes: {reason}")]
    BrokenOff {
        /// The downloaded content.
        digest: Digest,
        /// How much came.
        received: u64,
        /// How much there is.
        expected: u64,
        /// Why.
        reason: String,
    },
    /// A file of a download or upload cannot be read or written.
    #[error("cannot {act} {path}: {source}")]
    File {
        /// The attempted operation.
        act: &'static str,
        /// On what.
        path: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The image store refuses or fails.
    #[error(transparent)]
    Store(#[from] crate::Error),
    /// A push names a repository that is not here.
    #[error("Repository does not exist: {0}")]
    NoSuchRepository(String),
    /// A push names a missing object, in the text of current engines.
    #[error("{0}")]
    NotHere(String),
    /// A push names a tag that is not here.
    #[error("error getting tags for {repository}: Tag does not exist for {tag}")]
    NoSuchTag {
        /// The repository.
        repository: String,
        /// The tag.
        tag: String,
    },
    /// A registry is not convinced by credentials that are to be checked.
    #[error("{0}")]
    Unproven(String),
    /// A registry does not require credentials, so it cannot check any.
    #[error("no successful auth challenge for {0} - errors: []")]
    Unchallenged(String),
    /// The account on an old index cannot be used.
    #[error("{reason}")]
    Login {
        /// Why.
        reason: String,
        /// The kind of the failure.
        kind: ErrorKind,
    },
}

fn hint(certificate_directories: &[PathBuf], registry: &str) -> String {
    if certificate_directories.is_empty() {
        return String::new();
    }
    let place = |directory: &PathBuf| directory.join(registry).join("ca.crt").display().to_string();
    let places: Vec<String> = certificate_directories.iter().map(place).collect();
    format!(
        ". If this private registry supports only HTTP or HTTPS with an unknown CA certificate, please add \
         `--insecure-registry {registry}` to the daemon's arguments. In the case of HTTPS, if you have access \
         to the registry's CA certificate, no need for the flag; simply place the CA certificate at {}",
        places.join(" or ")
    )
}

fn shown_digests(digests: &[Digest]) -> String {
    digests.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl From<TransportError> for RegistryError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Cancelled => Self::Cancelled,
            other => Self::Transport(other),
        }
    }
}

impl RegistryError {
    /// The kind of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Reference(error) => error.kind(),
            Self::Auth(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Login { kind, .. } => *kind,
            Self::Unauthorized { .. } | Self::Unproven(_) | Self::Unchallenged(_) => ErrorKind::Unauthorized,
            Self::Denied { .. } => ErrorKind::Forbidden,
            Self::NoReadAccess { .. }
            | Self::Unknown { .. }
            | Self::NoSuchRepository(_)
            | Self::NotHere(_)
            | Self::NoSuchTag { .. }
            | Self::Manifest(ManifestError::NoPlatform { .. }) => ErrorKind::NotFound,
            Self::Manifest(_) => ErrorKind::Invalid,
            Self::MissingPlatforms { .. } => ErrorKind::Conflict,
            Self::Unreachable { .. } => ErrorKind::Unavailable,
            Self::Cancelled
            | Self::Hosts(_)
            | Self::Transport(_)
            | Self::Status { .. }
            | Self::SearchStatus { .. }
            | Self::Malformed { .. }
            | Self::TokenService { .. }
            | Self::WrongDigest { .. }
            | Self::WrongSize { .. }
            | Self::BrokenOff { .. }
            | Self::File { .. } => ErrorKind::Internal,
        }
    }

    /// Whether the disk has no room for what was to be written.
    pub(super) fn is_want_of_room(&self) -> bool {
        match self {
            Self::File { source, .. } => is_want_of_room(source),
            Self::Store(error) => error.is_want_of_room(),
            _ => false,
        }
    }
}
