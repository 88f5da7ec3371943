//! Device nodes of a container.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::DevicePermissions;

/// A device node made in the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The host's node; the runtime reads kind, numbers, mode and owner from it. A directory stands for all nodes in it.
    pub path_on_host: PathBuf,
    /// Where the container sees it.
    pub path_in_container: PathBuf,
    /// What the container may do with it.
    pub permissions: DevicePermissions,
    /// Kind and numbers, where they are not those of the host's node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<DeviceNumbers>,
    /// The mode, where it is not that of the host's node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// The number of the owner, where it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
    /// The number of the group, where it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
}

/// Which device a node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceNumbers {
    /// Block or character.
    pub is_block: bool,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}
