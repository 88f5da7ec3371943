//! The mounts beneath a container's root.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One mount beneath the container's root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// The source.
    pub source: MountSource,
    /// An absolute path in the container; made when missing (a file for a file).
    pub destination: PathBuf,
    /// Whether it can be written to.
    pub access: MountAccess,
    /// How mounts beneath travel between host and container.
    pub propagation: Propagation,
    /// Whether what is mounted beneath the source comes along.
    pub submounts: Submounts,
    /// The part of the source that is mounted, a path within it; all of it when `None`.
    pub subpath: Option<PathBuf>,
    /// How the owners of its files are mapped, in a container with a user namespace of its own.
    #[serde(default)]
    pub owners: Owners,
}

/// The user namespace in which the owners of files are interpreted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owners {
    /// The host's: ids that a user namespace does not map have no name in it.
    #[default]
    OfHost,
    /// The container's: root's files are its root's.
    OfContainer,
}

/// Whether a mount can be written to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountAccess {
    /// It can.
    #[default]
    ReadWrite,
    /// Neither it nor what is mounted beneath.
    ReadOnly,
    /// It cannot; what is mounted beneath is as it is on the host.
    ReadOnlyAlone,
}

/// Whether what is mounted beneath a bind's source comes along.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Submounts {
    #[default]
    Included,
    Excluded,
}

/// The restrictions of a mount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountRestrictions {
    /// Set-user-ID programs have no effect (`nosuid`).
    pub no_set_user_id: bool,
    /// Device nodes cannot be opened (`nodev`).
    pub no_devices: bool,
    /// Programs cannot be run (`noexec`).
    pub no_execution: bool,
}

/// The source of a mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountSource {
    /// A directory or file of the host, with what is mounted beneath it.
    Bind(PathBuf),
    /// The same, with less than the mount on the host allows.
    RestrictedBind {
        /// The directory or file.
        path: PathBuf,
        /// Its restrictions.
        restrictions: MountRestrictions,
    },
    /// A new tmpfs with mount options as tmpfs(5), `size=64m,mode=1777,noexec`.
    Tmpfs(String),
    /// The layers of an image, topmost first, read-only.
    Image(Vec<PathBuf>),
    /// A volume that is a mount itself: the shim has the mount namespace that holds it.
    Held {
        /// The volume's name.
        volume: String,
        /// Which of the shim's namespaces it is.
        number: usize,
    },
}

/// How mounts beneath a bind travel between host and container, mount_namespaces(7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the kernel's own terms")]
pub enum Propagation {
    Private,
    #[default]
    RecursivePrivate,
    Slave,
    RecursiveSlave,
    Shared,
    RecursiveShared,
}

impl Propagation {
    /// The mode's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::RecursivePrivate => "rprivate",
            Self::Slave => "slave",
            Self::RecursiveSlave => "rslave",
            Self::Shared => "shared",
            Self::RecursiveShared => "rshared",
        }
    }
}

/// A word names no propagation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid propagation mode: {0}")]
pub struct UnknownPropagation(pub String);

impl FromStr for Propagation {
    type Err = UnknownPropagation;
    fn from_str(text: &str) -> Result<Self, UnknownPropagation> {
        let all = [
            Self::Private,
            Self::RecursivePrivate,
            Self::Slave,
            Self::RecursiveSlave,
            Self::Shared,
            Self::RecursiveShared,
        ];
        all.into_iter().find(|known| known.word() == text).ok_or_else(|| UnknownPropagation(text.to_owned()))
    }
}
