//! A shim's files in its run directory for later daemons.

use std::path::PathBuf;

use model::ProcessReference;
use serde::{Deserialize, Serialize};

/// `processes.json`: enough to recognise, kill and clean up a container whose shim does not respond.
/// The shim writes it before it makes anything, and again (by renaming) when the container is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShimProcesses {
    /// The shim itself.
    pub shim: ProcessReference,
    /// The container's init; `None` until it is made.
    pub init: Option<ProcessReference>,
    /// The container's cgroup directories, one a hierarchy.
    pub cgroups: Vec<PathBuf>,
}
