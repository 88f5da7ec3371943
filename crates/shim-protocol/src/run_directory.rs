//! Where a shim and the daemons that come and go find each other's files.

use std::path::{Path, PathBuf};

use model::ContainerId;

/// A container's directory beneath the daemon's `--exec-root`; it exists as long as its shim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDirectory(PathBuf);

impl RunDirectory {
    /// The directory of a container.
    #[must_use]
    pub fn new(exec_root: &Path, container: &ContainerId) -> Self {
        Self(exec_root.join("containers").join(container.as_str()))
    }

    /// Takes a path that already is a run directory, as the shim's argument.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The container's specification, JSON of [`model::ContainerSpec`].
    #[must_use]
    pub fn spec(&self) -> PathBuf {
        self.0.join("spec.json")
    }

    /// The socket at which the shim takes later daemons.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.0.join("shim.sock")
    }

    /// The exit record, JSON of [`model::Exit`]; written under another name, then renamed.
    #[must_use]
    pub fn exit_record(&self) -> PathBuf {
        self.0.join("exit.json")
    }

    /// The container's health at its end, JSON of [`model::Health`]; written before the exit record, of containers
    /// whose health is checked.
    #[must_use]
    pub fn health(&self) -> PathBuf {
        self.0.join("health.json")
    }

    /// An empty file of the daemon's, while it changes the networks of the running container.
    #[must_use]
    pub fn moving(&self) -> PathBuf {
        self.0.join("moving")
    }

    /// The shim's and its container's processes, JSON of [`crate::ShimProcesses`]; written by the shim before
    /// it makes anything, and again when the container is made.
    #[must_use]
    pub fn processes(&self) -> PathBuf {
        self.0.join("processes.json")
    }
}
