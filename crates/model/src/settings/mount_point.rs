//! What is mounted into a made container.

use super::{MountMode, Spelled, VolumeDriverKind};
use crate::{Owners, Submounts};

/// One mount of a made container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountPoint {
    /// What is mounted.
    pub origin: MountOrigin,
    /// The path on the host.
    pub source: String,
    /// The path in the container.
    pub destination: String,
    /// How it is mounted.
    pub mode: Spelled<MountMode>,
    /// Whether it can be written to.
    pub writable: bool,
    /// Whether what is mounted beneath stays writable where it cannot.
    pub writable_submounts: bool,
    /// Whether what is mounted beneath the source comes along.
    pub submounts: Submounts,
    /// Whose the owners of a bind's files are, in a container with a user namespace of its own.
    pub owners: Owners,
}

/// What is mounted at a [`MountPoint`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum MountOrigin {
    /// A file or directory of the host.
    #[default]
    Bind,
    /// A volume.
    Volume(MountedVolume),
}

/// A volume as a container has it mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountedVolume {
    /// Its name.
    pub name: String,
    /// What keeps its content.
    pub driver: VolumeDriverKind,
    /// The part of it that is mounted, a path within it; empty is all of it.
    pub subpath: String,
}

impl MountPoint {
    /// The volume that is mounted; `None` for a bind.
    #[must_use]
    pub const fn volume(&self) -> Option<&MountedVolume> {
        match &self.origin {
            MountOrigin::Bind => None,
            MountOrigin::Volume(volume) => Some(volume),
        }
    }

    /// Whether it is the volume of this name.
    #[must_use]
    pub fn is_volume(&self, name: &str) -> bool {
        self.volume().is_some_and(|volume| volume.name == name)
    }

    /// Whether it is a bind.
    #[must_use]
    pub const fn is_bind(&self) -> bool {
        matches!(self.origin, MountOrigin::Bind)
    }
}
